// SPDX-License-Identifier: GPL-3.0-or-later
//
// A network interface as the kernel shows it, reduced to what routerd decides on.

/// A network interface.
public struct Link: Hashable, Sendable {
  /// The number by which the kernel knows it; another interface of the same name later has another number.
  public var index: UInt32
  /// The name, for example `wan0`.
  public var name: String
  /// The kind of a virtual interface, for example `tun` or `veth`; a physical one has none.
  public var kind: String?
  /// The ends of a device of kind `ip6tnl`.
  public var tunnel: IPv6Tunnel?
  /// The free text that an administrator or program attached (`ip link set … alias`).
  public var alias: String?
  /// Whether it is administratively up.
  public var isUp: Bool
  /// Whether the link layer is connected: a cable, a peer, an open TUN device.
  public var hasCarrier: Bool
  /// The MTU in bytes.
  public var mtu: UInt32
  /// The link-layer address, six bytes on Ethernet, empty on a TUN device.
  public var hardwareAddress: [UInt8]
  /// The per-interface IPv4 settings; empty if the interface has no IPv4 part (it is too new, or has an MTU below 68).
  public var ipv4Settings: [IPv4Setting: Int32]

  /// Makes a link value, for fakes and expectations; links themselves are made by the kernel.
  public init(
    index: UInt32, name: String, kind: String? = nil, tunnel: IPv6Tunnel? = nil, alias: String? = nil, isUp: Bool,
    hasCarrier: Bool, mtu: UInt32, hardwareAddress: [UInt8] = [], ipv4Settings: [IPv4Setting: Int32] = [:]
  ) {
    self.index = index
    self.name = name
    self.kind = kind
    self.tunnel = tunnel
    self.alias = alias
    self.isUp = isUp
    self.hasCarrier = hasCarrier
    self.mtu = mtu
    self.hardwareAddress = hardwareAddress
    self.ipv4Settings = ipv4Settings
  }

  /// The alias by which routerd knows the devices that it made.
  public static let routerdAlias = "routerd"

  /// Whether routerd made this device: it carries the alias and is a virtual one, which loopback and network cards are
  /// not whatever alias they have.
  public var isRouterds: Bool { alias == Self.routerdAlias && kind != nil }
}

/// A per-interface IPv4 setting, the entries of `/proc/sys/net/ipv4/conf/INTERFACE`. The raw value is the kernel's
/// number for it (`IPV4_DEVCONF_…` in `linux/ip.h`).
public enum IPv4Setting: UInt16, Hashable, Sendable, CaseIterable {
  /// `forwarding`: whether packets that came in here are forwarded.
  case forwarding = 1
  /// `accept_redirects`: whether ICMP redirects are believed.
  case acceptRedirects = 4
  /// `send_redirects`: whether ICMP redirects are sent.
  case sendRedirects = 6
  /// `rp_filter`: 0 none, 1 strict, 2 loose. The larger of this and the host-wide `all` is what counts.
  case reversePathFilter = 8
  /// `accept_source_route`: whether packets may carry their own route.
  case acceptSourceRoute = 9
  /// `log_martians`: whether packets with impossible addresses are logged.
  case logMartians = 11
}
