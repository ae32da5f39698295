// SPDX-License-Identifier: GPL-3.0-or-later
//
// From what is to what should be. The order of the changes is make-before-break:
//
//   1. The softwire's own IPv6 address goes onto the WAN and through duplicate address detection. Until it is usable
//      nothing else is touched, so whatever softwire there is goes on working. Where it was through that already and
//      somebody took it away, it comes back optimistic: in use at once, while detection runs again (RFC 4429), if the
//      host allows that (sysctl optimistic_dad).
//   2. The table in one transaction, the flows of the old address forgotten with it. A table that translates lets nothing
//      of ours leave from other ends than its own, so it comes before the tunnel. One that does not (DS-Lite) comes
//      after: until then the old one guards what was translated.
//   3. The tunnel moves to the new ends in place; devices of it that are missing are made (the rest then waits for the
//      next look, which knows their index).
//   4. Per-device settings, the new IPv4 address, the default route replaced.
//   5. Only then whatever of ours is left over goes: addresses, routes, devices. "Ours" is what carries routerd's
//      protocol number or alias; nothing else is ever removed.
//
// A plan for a state that is right already is empty.

public import NFTables
public import Netlink
import PortSetNAT
public import RouterKit

/// One change of kernel state.
public enum KernelChange: Hashable, Sendable {
  case addIPv6Address(InterfaceAddress<IPv6Address>)
  case removeIPv6Address(InterfaceAddress<IPv6Address>)
  case applyTunnel(TunnelSpec)
  case setIPv4Settings(interface: String, index: UInt32, settings: [IPv4Setting: Int32])
  case addIPv4Address(InterfaceAddress<IPv4Address>)
  case removeIPv4Address(InterfaceAddress<IPv4Address>)
  case applyTable(Table)
  /// Only those with one of the ports, if there are any.
  case forgetFlows(IPv4Address, ports: Set<UInt16>? = nil)
  case setRoute(Route<IPv4Address>)
  case removeRoute(Route<IPv4Address>)
  case setIPv6Route(Route<IPv6Address>)
  case removeIPv6Route(Route<IPv6Address>)
  case removeDevice(String)
}

/// The way to the desired state.
public struct Plan: Hashable, Sendable {
  /// What to do now, in this order.
  public private(set) var changes: [KernelChange] = []
  /// What has to happen by itself before more can be done, as a sentence.
  public private(set) var waitingFor: String?
  /// What stands in the way and needs somebody, as a sentence.
  public private(set) var obstacle: String?
  /// Things that work but should be looked at, as sentences.
  public private(set) var warnings: [String] = []

  /// Plans the way from `observed` to `desired`.
  /// - Parameters:
  ///   - retriesDuplicates: whether an address that another device had is tried again.
  ///   - reclaims: whether `desired` is what the kernel had come to rest in, so that a missing CE address was ours a moment
  ///     ago.
  public init(
    desired: DesiredState, observed: ObservedState, retriesDuplicates: Bool = false, reclaims: Bool = false
  ) {
    guard let wan = observed.link(named: desired.wanInterface) else {
      waitingFor = "there is no interface \(desired.wanInterface)"
      return
    }
    guard prepareLocalAddress(desired, observed, wan, retriesDuplicates, reclaims) else { return }
    if !wan.isUp || !wan.hasCarrier { warnings.append("\(wan.name) has no link: is the cable plugged in?") }
    let devices = desired.deviceNames.compactMap { name in
      observed.tunnel?.deviceNames.contains(name) == true ? observed.link(named: name) : nil
    }
    if desired.nat.translates { translate(desired, observed) }
    guard let active = devices.first, devices.count == desired.deviceNames.count else {
      changes.append(.applyTunnel(desired.tunnel))
      return
    }
    if observed.tunnel?.tunnel != desired.tunnel { changes.append(.applyTunnel(desired.tunnel)) }
    configureDevices(desired, observed, devices)
    addAddresses(desired, observed, devices)
    if !desired.nat.translates { translate(desired, observed) }
    route(desired, observed, active)
    guard obstacle == nil else { return }
    removeLeftovers(desired, observed, devices, wan)
  }

  /// - Returns: whether the address can carry the softwire.
  private mutating func prepareLocalAddress(
    _ desired: DesiredState, _ observed: ObservedState, _ wan: Link, _ retriesDuplicates: Bool, _ reclaims: Bool
  ) -> Bool {
    let address = desired.tunnel.localAddress
    let present = observed.ipv6Addresses.first { $0.interfaceIndex == wan.index && $0.address == address }
    guard let present else {
      // A link that is or was down may lead to another network: there the address has to be detected first.
      let flags: AddressFlags =
        reclaims && wan.isUp && wan.hasCarrier ? [.noPrefixRoute, .optimistic] : [.noPrefixRoute]
      // Preferred lifetime 0: never the source of the router's other traffic.
      changes.append(
        .addIPv6Address(
          InterfaceAddress(
            interfaceIndex: wan.index, address: address, flags: flags, preferredLifetime: .seconds(0))))
      waitingFor = "\(address) goes through duplicate address detection on \(wan.name)"
      return false
    }
    if present.flags.contains(.duplicateDetected) {
      // The kernel tries only once; removed, the address is added again by the next plan.
      if retriesDuplicates { changes.append(.removeIPv6Address(present)) }
      obstacle =
        "\(address) is in use by another device on \(wan.name): a router in front or beside this one probably runs the "
        + "same softwire; let only one of the two do so"
      return false
    }
    guard present.isUsable else {
      waitingFor =
        wan.isUp && wan.hasCarrier
        ? "\(address) goes through duplicate address detection on \(wan.name)" : "\(wan.name) is down"
      return false
    }
    return true
  }

  private mutating func configureDevices(_ desired: DesiredState, _ observed: ObservedState, _ devices: [Link]) {
    for device in devices { setSettings(DesiredState.deviceSettings, of: device) }
    for name in desired.lanInterfaces {
      if let link = observed.link(named: name) {
        setSettings(DesiredState.lanSettings, of: link)
      } else {
        warnings.append("there is no interface \(name), which the section [lan] names")
      }
    }
  }

  private mutating func setSettings(_ wanted: [IPv4Setting: Int32], of link: Link) {
    let wrong = wanted.filter { link.ipv4Settings[$0.key] != $0.value }
    guard !wrong.isEmpty else { return }
    changes.append(.setIPv4Settings(interface: link.name, index: link.index, settings: wrong))
  }

  private mutating func addAddresses(_ desired: DesiredState, _ observed: ObservedState, _ devices: [Link]) {
    for address in devices.map(desired.address(on:))
    where !observed.ipv4Addresses.contains(where: { $0.isSameObject(as: address) }) {
      changes.append(.addIPv4Address(address))
    }
  }

  private mutating func translate(_ desired: DesiredState, _ observed: ObservedState) {
    let table = desired.nat.table
    guard observed.table != table else { return }
    changes.append(.applyTable(table))
    // Flows that were translated to another address or port set would be dropped by the new table until they time out;
    // forgotten, they start afresh. A table that was merely damaged loses none.
    var stale = Set(observed.ipv4Addresses.filter { $0.protocol == .routerd }.map(\.address))
    stale.remove(desired.ipv4Address)
    changes += stale.sorted().map { .forgetFlows($0) }
    switch observed.table.map({ StaleFlows(from: $0, to: table) }) {
    case nil, .ports([]): break
    case .all: changes.append(.forgetFlows(desired.ipv4Address))
    case .ports(let ports): changes.append(.forgetFlows(desired.ipv4Address, ports: ports))
    }
  }

  private mutating func route(_ desired: DesiredState, _ observed: ObservedState, _ device: Link) {
    let route = Route<IPv4Address>(
      destination: IPv4Prefix(of: IPv4Address(bits: 0), length: 0), interfaceIndex: device.index,
      metric: desired.metric, preferredSource: desired.ipv4Address)
    let defaults = observed.ipv4Routes.filter { $0.destination.length == 0 && $0.table == .main }
    for foreign in defaults where foreign.protocol != .routerd && foreign.metric <= desired.metric {
      let device = observed.links.first { $0.index == foreign.interfaceIndex }?.name ?? "another interface"
      let by = foreign.gateway.map { "through \($0) on \(device)" } ?? "on \(device)"
      if foreign.metric == desired.metric {
        obstacle =
          "there is another default route with metric \(desired.metric), \(by); remove it or set another metric in the "
          + "section [softwire]"
        return
      }
      warnings.append(
        "the default route \(by) has metric \(foreign.metric), which wins over the softwire's \(desired.metric)")
    }
    if !defaults.contains(route) { changes.append(.setRoute(route)) }
    changes += observed.ipv4Routes.filter { $0.protocol == .routerd && !$0.isSameObject(as: route) }
      .map { .removeRoute($0) }
  }

  private mutating func removeLeftovers(
    _ desired: DesiredState, _ observed: ObservedState, _ devices: [Link], _ wan: Link
  ) {
    let wanted = devices.map(desired.address(on:))
    let stale = observed.ipv4Addresses.filter { address in
      address.protocol == .routerd && !wanted.contains { $0.isSameObject(as: address) }
    }
    changes += stale.map { .removeIPv4Address($0) }
    changes += Set(stale.map(\.address)).subtracting([desired.ipv4Address]).sorted().map { .forgetFlows($0) }
    for link in observed.links where link.isRouterds && !desired.deviceNames.contains(link.name) {
      changes.append(.removeDevice(link.name))
    }
    changes += observed.ipv6Addresses.filter {
      $0.protocol == .routerd && !($0.interfaceIndex == wan.index && $0.address == desired.tunnel.localAddress)
    }.map { .removeIPv6Address($0) }
  }
}

extension InterfaceAddress {
  /// Whether both are one object to the kernel: same interface, address and prefix length.
  fileprivate func isSameObject(as other: InterfaceAddress) -> Bool {
    interfaceIndex == other.interfaceIndex && address == other.address && prefixLength == other.prefixLength
  }
}

extension Route {
  /// Whether both are one object to the kernel: adding one replaces the other.
  func isSameObject(as other: Route) -> Bool {
    destination == other.destination && table == other.table && metric == other.metric
  }
}
