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
  /// The IPv4 address on the tunnel device.
  public let ipv4Address: IPv4Address
  /// The length of its prefix in bits.
  public let ipv4PrefixLength: Int
  /// The metric of the default route.
  public let metric: UInt32
  /// The NAT and the guards around it.
  public let nat: NATSpec

  /// The state for `softwire`.
  public init(_ configuration: Configuration, softwire: Softwire) {
    wanInterface = configuration.wan.interface
    lanInterfaces = configuration.lan.interfaces
    tunnel = TunnelSpec(
      deviceName: configuration.softwire.device, softwire: softwire, mtu: configuration.softwire.mtu)
    ipv4Address = softwire.ipv4Address
    metric = configuration.softwire.metric
    let kind: NATSpec.Kind
    switch softwire {
    case .mapE(let mapE):
      ipv4PrefixLength = 32
      kind = .mapE(address: softwire.ipv4Address, portSet: mapE.parameters.portSet)
    case .dsLite:
      ipv4PrefixLength = DSLiteSoftwire.b4IPv4PrefixLength
      kind = .dsLite
    }
    nat = NATSpec(
      devices: [configuration.softwire.device], localAddress: softwire.localAddress, relays: softwire.allowedRelays,
      admitsMesh: !tunnel.forwardingRules.isEmpty, kind: kind, forwards: configuration.forwards,
      filtering: configuration.nat.filtering, timeouts: configuration.nat.timeouts)
  }

  /// What the IPv4 settings of the tunnel device should be. The device is reached from anywhere, so reverse path
  /// filtering is loose; 2 and not 0, because the kernel takes the larger of this and the host-wide value.
  public static let deviceSettings: [IPv4Setting: Int32] = [.forwarding: 1, .reversePathFilter: 2]
  /// What the IPv4 settings of the LAN interfaces should be.
  public static let lanSettings: [IPv4Setting: Int32] = [.forwarding: 1]
}
