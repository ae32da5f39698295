// SPDX-License-Identifier: GPL-3.0-or-later
//
// A tunnel of the kernel whose outside is IPv6: the kind "ip6tnl" of ip6_tunnel.c. When such a device is changed, what a
// request leaves out is set to zero, so a value here is always the whole of it.

internal import CMNL
public import RouterKit

/// What the kernel knows of a device of kind `ip6tnl`.
public struct IPv6Tunnel: Hashable, Sendable {
  /// The kind of such a device.
  public static let kind = "ip6tnl"

  /// This end: the source of what is sent and the destination of what is taken. Zero takes packets to any.
  public var localAddress: IPv6Address
  /// The far end: the destination of what is sent, and the only source of what is taken. Zero takes packets from any.
  public var remoteAddress: IPv6Address
  /// What is inside.
  public var content: Content
  /// The hop limit of outer packets; zero copies the inner one, which then shows hops that are not the sender's.
  public var hopLimit: UInt8
  /// How many more tunnels a packet may enter, told in an option of eight bytes that every packet then carries; nothing
  /// for packets without that option.
  public var encapsulationLimit: UInt8?
  /// Traffic class and flow label of outer packets, as far as ``options`` does not copy them.
  public var flowInformation: UInt32
  /// What is copied between inner and outer packets, and other exceptions.
  public var options: Options
  /// The interface that outer packets are bound to; zero for whichever the route names.
  public var outerInterfaceIndex: UInt32
  /// The firewall mark of outer packets.
  public var firewallMark: UInt32

  /// Describes a tunnel; but for the addresses, what is not given is the plainest there is.
  public init(
    localAddress: IPv6Address, remoteAddress: IPv6Address, content: Content = .ipv4, hopLimit: UInt8 = 64,
    encapsulationLimit: UInt8? = nil, flowInformation: UInt32 = 0, options: Options = [],
    outerInterfaceIndex: UInt32 = 0, firewallMark: UInt32 = 0
  ) {
    self.localAddress = localAddress
    self.remoteAddress = remoteAddress
    self.content = content
    self.hopLimit = hopLimit
    self.encapsulationLimit = encapsulationLimit
    self.flowInformation = flowInformation
    self.options = options
    self.outerInterfaceIndex = outerInterfaceIndex
    self.firewallMark = firewallMark
  }

  /// What a tunnel carries: the number of its protocol.
  public struct Content: RawRepresentable, Hashable, Sendable {
    /// The kernel's number.
    public let rawValue: UInt8

    /// Makes one from the kernel's number.
    public init(rawValue: UInt8) {
      self.rawValue = rawValue
    }

    /// Whatever comes.
    public static let any = Content(rawValue: 0)
    /// IPv4.
    public static let ipv4 = Content(rawValue: 4)
    /// IPv6.
    public static let ipv6 = Content(rawValue: 41)
  }

  /// Flags of a tunnel (`IP6_TNL_F_…` in `linux/ip6_tunnel.h`), without the one for ``encapsulationLimit``.
  public struct Options: OptionSet, Hashable, Sendable {
    /// The bits.
    public let rawValue: UInt32

    /// Makes a set of its bits.
    public init(rawValue: UInt32) {
      self.rawValue = rawValue
    }

    /// Outer packets carry the inner traffic class. Each packet then costs a look at the routing table. Congestion
    /// marks (ECN) travel both ways without it.
    public static let copiesTrafficClass = Options(rawValue: 0x2)
    /// Outer packets carry the inner flow label.
    public static let copiesFlowLabel = Options(rawValue: 0x4)
    /// For Mobile IPv6.
    public static let isMobileIPv6 = Options(rawValue: 0x8)
    /// Inner packets get the traffic class of the outer ones.
    public static let copiesTrafficClassInwards = Options(rawValue: 0x10)
    /// Outer packets are routed by the firewall mark of the inner ones.
    public static let copiesFirewallMark = Options(rawValue: 0x20)
    /// The far end may be on this machine.
    public static let allowsLocalRemote = Options(rawValue: 0x40)
  }
}

extension IPv6Tunnel {
  /// The flags that are somebody's choice; above them the kernel notes what it found out itself.
  private static let choices: UInt32 = 0xffff

  /// Reads the attributes of a device of this kind; nothing if an address is missing.
  init?(_ attributes: Attributes) {
    guard let local = attributes[IFLA_IPTUN_LOCAL].flatMap({ IPv6Address(networkBytes: $0) }),
      let remote = attributes[IFLA_IPTUN_REMOTE].flatMap({ IPv6Address(networkBytes: $0) })
    else { return nil }
    let flags = (attributes.load(IFLA_IPTUN_FLAGS, as: UInt32.self) ?? 0) & Self.choices
    let hasNoLimit = flags & UInt32(IP6_TNL_F_IGN_ENCAP_LIMIT) != 0
    self.init(
      localAddress: local, remoteAddress: remote,
      content: Content(rawValue: attributes.load(IFLA_IPTUN_PROTO, as: UInt8.self) ?? 0),
      hopLimit: attributes.load(IFLA_IPTUN_TTL, as: UInt8.self) ?? 0,
      encapsulationLimit: hasNoLimit ? nil : attributes.load(IFLA_IPTUN_ENCAP_LIMIT, as: UInt8.self) ?? 0,
      flowInformation: UInt32(bigEndian: attributes.load(IFLA_IPTUN_FLOWINFO, as: UInt32.self) ?? 0),
      options: Options(rawValue: flags & ~UInt32(IP6_TNL_F_IGN_ENCAP_LIMIT)),
      outerInterfaceIndex: attributes.load(IFLA_IPTUN_LINK, as: UInt32.self) ?? 0,
      firewallMark: attributes.load(IFLA_IPTUN_FWMARK, as: UInt32.self) ?? 0)
  }

  /// Puts IFLA_LINKINFO into a request.
  func put(into request: inout MessageWriter) {
    let noLimit = encapsulationLimit == nil ? UInt32(IP6_TNL_F_IGN_ENCAP_LIMIT) : 0
    request.nest(IFLA_LINKINFO) { request in
      request.put(IFLA_INFO_KIND, Self.kind)
      request.nest(IFLA_INFO_DATA) { request in
        request.put(IFLA_IPTUN_LOCAL, localAddress)
        request.put(IFLA_IPTUN_REMOTE, remoteAddress)
        request.put(IFLA_IPTUN_PROTO, content.rawValue)
        request.put(IFLA_IPTUN_TTL, hopLimit)
        request.put(IFLA_IPTUN_ENCAP_LIMIT, encapsulationLimit ?? 0)
        request.put(IFLA_IPTUN_FLAGS, options.rawValue & Self.choices | noLimit)
        request.put(IFLA_IPTUN_FLOWINFO, flowInformation.bigEndian)
        request.put(IFLA_IPTUN_LINK, outerInterfaceIndex)
        request.put(IFLA_IPTUN_FWMARK, firewallMark)
      }
    }
  }
}
