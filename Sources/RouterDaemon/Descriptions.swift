// SPDX-License-Identifier: GPL-3.0-or-later
//
// Changes and states in a few words, for the log and for `systemctl status`.

import ControlProtocol
import Netlink
import RouterCore
import RouterKit

extension KernelChange {
  /// What the change does.
  var summary: String {
    switch self {
    case .addIPv6Address(let address): "add address \(address.address)"
    case .removeIPv6Address(let address): "remove address \(address.address)"
    case .applyTunnel(let tunnel): "tunnel \(tunnel.deviceName) from \(tunnel.localAddress) to \(tunnel.relay)"
    case .setIPv4Settings(let interface, _, _): "IPv4 settings of \(interface)"
    case .addIPv4Address(let address): "add address \(address.address)"
    case .removeIPv4Address(let address): "remove address \(address.address)"
    case .applyTable: "table routerd"
    case .forgetFlows(let address, let ports):
      "forget flows of \(address)" + (ports.map { ", private ports \($0.sorted())" } ?? "")
    case .setRoute(let route): "route to \(route.destination)"
    case .removeRoute(let route): "remove route to \(route.destination)"
    case .setIPv6Route(let route): "route to \(route.destination)\(route.gateway.map { " through \($0)" } ?? "")"
    case .removeIPv6Route(let route): "remove route to \(route.destination)"
    case .removeDevice(let name): "remove device \(name)"
    }
  }
}

extension StatusReport {
  /// The state in one line.
  var summary: String {
    if let softwire, let profile {
      let ports = softwire.kind == "map-e" ? " with \(softwire.portCount) ports" : ""
      return "\(state.rawValue): \(profile), \(softwire.ipv4)\(ports), \(softwire.ceAddress) to \(softwire.borderRelay)"
    }
    return reason.map { "\(state.rawValue): \($0)" } ?? state.rawValue
  }
}
