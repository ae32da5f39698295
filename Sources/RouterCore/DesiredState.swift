// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the kernel should look like for a softwire: a value, made of configuration and softwire alone.

public import Netlink
public import PortSetNAT
public import RouterKit

/// The state that the kernel is brought to.
public struct DesiredState: Hashable, Sendable {
  /// The interface with the IPv6 line.
  public let wanInterface: String
  /// The interfaces whose IPv4 traffic is routed.
  public let lanInterfaces: [String]
  /// The tunnel.
  public let tunnel: TunnelSpec
  /// The tunnel's devices; the first one carries the default route.
  public let deviceNames: [String]
  /// The IPv4 address, which is on every device: without one a device would take no packets under reverse path filtering.
  public let ipv4Address: IPv4Address
  /// The length of its prefix in bits.
  public let ipv4PrefixLength: Int
  /// The metric of the default route.
  public let metric: UInt32
  /// The NAT and the guards around it.
  public let nat: NATSpec

  /// The state for `softwire`.
  /// - Parameter deviceNames: the dataplane's ``RouterKit/DataplaneProvider/deviceNames(for:)``.
  public init(_ configuration: Configuration, softwire: Softwire, deviceNames: (TunnelSpec) -> [String]) {
    wanInterface = configuration.wan.interface
    lanInterfaces = configuration.lan.interfaces
    tunnel = TunnelSpec(
      deviceName: configuration.softwire.device, softwire: softwire, mtu: configuration.softwire.mtu)
    self.deviceNames = deviceNames(tunnel)
    ipv4Address = softwire.ipv4Address
    metric = configuration.softwire.metric
    let kind: NATSpec.Kind
    switch softwire {
    case .mapE(let mapE):
      ipv4PrefixLength = 32
      kind = .mapE(address: softwire.ipv4Address, portSet: mapE.parameters.portSet)
    case .fixedIP:
      ipv4PrefixLength = 32
      kind = .mapE(address: softwire.ipv4Address, portSet: nil)
    case .dsLite:
      ipv4PrefixLength = DSLiteSoftwire.b4IPv4PrefixLength
      kind = .dsLite
    }
    nat = NATSpec(
      devices: self.deviceNames, localAddress: softwire.localAddress, relays: softwire.allowedRelays,
      admitsMesh: !tunnel.forwardingRules.isEmpty, kind: kind, forwards: configuration.forwards,
      filtering: configuration.nat.filtering, timeouts: configuration.nat.timeouts,
      isProbed: !configuration.probeTargets.isEmpty)
  }

  /// The IPv4 address as it stands on a device. No route to the network of DS-Lite's address comes with it: several
  /// devices would have the same one, and it would lead to one relay whichever is in use. The default route leads there.
  func address(on device: Link) -> InterfaceAddress<IPv4Address> {
    InterfaceAddress(
      interfaceIndex: device.index, address: ipv4Address, prefixLength: ipv4PrefixLength,
      flags: ipv4PrefixLength < 32 ? [.noPrefixRoute] : [])
  }

  /// What the IPv4 settings of the tunnel devices should be. They are reached from anywhere, so reverse path
  /// filtering is loose; 2 and not 0, because the kernel takes the larger of this and the host-wide value.
  public static let deviceSettings: [IPv4Setting: Int32] = [.forwarding: 1, .reversePathFilter: 2]
  /// What the IPv4 settings of the LAN interfaces should be.
  public static let lanSettings: [IPv4Setting: Int32] = [.forwarding: 1]
}
