// SPDX-License-Identifier: GPL-3.0-or-later
//
// A kernel that does what the changes say, with either dataplane in it.

import Netlink
import RouterCore
import RouterKit

/// What the two kinds of dataplane look like from outside.
enum SimulatedDataplane: String, CaseIterable {
  /// One device, and a process that must forward for it.
  case tun
  /// One device for each allowed relay, and all that there is to know is in the kernel.
  case ip6tnl

  func deviceNames(for tunnel: TunnelSpec) -> [String] {
    guard self == .ip6tnl else { return [tunnel.deviceName] }
    let devices = tunnel.allowedRelays.sorted().enumerated().map { ($1, "\(tunnel.deviceName.dropLast())\($0)") }
    return devices.filter { $0.0 == tunnel.relay }.map(\.1) + devices.filter { $0.0 != tunnel.relay }.map(\.1)
  }

  /// Whether what was made for `made` is right for `wanted`.
  func carries(_ wanted: TunnelSpec, with made: TunnelSpec) -> Bool {
    var made = made
    if self == .ip6tnl { made.relay = wanted.relay }
    return made == wanted
  }
}

struct SimulatedKernel {
  var state = ObservedState()
  var dataplane = SimulatedDataplane.tun
  /// What the dataplane was last asked for.
  var tunnel: TunnelSpec?
  /// Every change that was carried out.
  var log: [KernelChange] = []
  /// Whether duplicate address detection ends at once.
  var isDetectionInstant = true
  private var nextIndex: UInt32 = 10

  init(wan: Link = Link(index: 2, name: "wan0", isUp: true, hasCarrier: true, mtu: 1500)) {
    state.links = [
      wan, Link(index: 3, name: "lan0", isUp: true, hasCarrier: true, mtu: 1500, ipv4Settings: [.forwarding: 0]),
    ]
  }

  /// What is seen by somebody who wants `desired`.
  func observed(_ desired: DesiredState) -> ObservedState {
    var observed = state
    let names = dataplane.deviceNames(for: desired.tunnel)
    let present = names.filter { state.link(named: $0)?.kind == dataplane.rawValue }
    if !present.isEmpty {
      let isWhole = present.count == names.count
      let carried = tunnel.map { isWhole && dataplane.carries(desired.tunnel, with: $0) ? desired.tunnel : $0 }
      observed.tunnel = TunnelState(deviceNames: present, tunnel: isWhole ? carried : nil)
    }
    return observed
  }

  mutating func apply(_ change: KernelChange) {
    log.append(change)
    switch change {
    case .addIPv6Address(var address):
      if isDetectionInstant {
        address.flags.remove(.optimistic)
      } else {
        address.flags.insert(.tentative)
      }
      state.ipv6Addresses.removeAll { ($0.interfaceIndex, $0.address) == (address.interfaceIndex, address.address) }
      state.ipv6Addresses.append(address)
    case .removeIPv6Address(let address):
      state.ipv6Addresses.removeAll { $0 == address }
    case .addIPv4Address(let address):
      precondition(state.links.contains { $0.index == address.interfaceIndex }, "there is no such interface")
      state.ipv4Addresses.append(address)
    case .removeIPv4Address(let address):
      state.ipv4Addresses.removeAll { $0 == address }
    case .applyTunnel(let tunnel):
      self.tunnel = tunnel
      for name in dataplane.deviceNames(for: tunnel) where state.link(named: name)?.kind != dataplane.rawValue {
        removeDevice(name)
        state.links.append(
          Link(
            index: nextIndex, name: name, kind: dataplane.rawValue, alias: "routerd", isUp: true, hasCarrier: true,
            mtu: UInt32(tunnel.mtu), ipv4Settings: [.forwarding: 0, .reversePathFilter: 1]))
        nextIndex += 1
      }
    case .removeDevice(let name):
      removeDevice(name)
    case .setIPv4Settings(let interface, _, let settings):
      guard let position = state.links.firstIndex(where: { $0.name == interface }) else { return }
      state.links[position].ipv4Settings.merge(settings) { $1 }
    case .applyTable(let table):
      state.table = table
    case .forgetFlows:
      break
    case .setRoute(let route):
      state.ipv4Routes.removeAll { $0.destination == route.destination && $0.metric == route.metric }
      state.ipv4Routes.append(route)
    case .removeRoute(let route):
      state.ipv4Routes.removeAll { $0 == route }
    case .setIPv6Route(let route):
      state.ipv6Routes.removeAll { $0.destination == route.destination && $0.metric == route.metric }
      state.ipv6Routes.append(route)
    case .removeIPv6Route(let route):
      state.ipv6Routes.removeAll { $0 == route }
    }
  }

  private mutating func removeDevice(_ name: String) {
    guard let index = state.link(named: name)?.index else { return }
    state.links.removeAll { $0.name == name }
    state.ipv4Addresses.removeAll { $0.interfaceIndex == index }
    state.ipv4Routes.removeAll { $0.interfaceIndex == index }
  }

  /// Plans and applies until there is nothing to do; the last plan.
  mutating func settle(_ desired: DesiredState) -> Plan {
    var plan = Plan(desired: desired, observed: observed(desired))
    for _ in 0..<10 where !plan.changes.isEmpty {
      for change in plan.changes { apply(change) }
      plan = Plan(desired: desired, observed: observed(desired))
    }
    return plan
  }
}
