// SPDX-License-Identifier: GPL-3.0-or-later
//
// A route with one next hop (or none), for both families.

public import RouterKit

/// A route.
public struct Route<Address: IPAddress>: Hashable, Sendable {
  /// Where the packets want to go; the default route has length 0.
  public var destination: IPPrefix<Address>
  /// The next hop, if there is one and it is of the same family.
  public var gateway: Address?
  /// The interface; none for a route with several next hops, or without any (``RouteKind/blackhole`` …), for which IPv6
  /// however shows loopback.
  public var interfaceIndex: UInt32?
  /// The table.
  public var table: RouteTable
  /// Who added it.
  public var `protocol`: RouteProtocol
  /// The priority: the smaller number wins. In IPv6 the kernel turns 0 into 1024 when a route is added.
  public var metric: UInt32
  /// The source address of the router's own packets, if the route names one.
  public var preferredSource: Address?
  /// What happens to the packets.
  public var kind: RouteKind
  /// How far away the destination is. Only IPv4 has it; IPv6 always shows ``RoutingScope/universe``.
  public var scope: RoutingScope
  /// The path MTU, if the route names one.
  public var mtu: UInt32?

  /// Makes a route to be added. The defaults are a route of routerd in the main table.
  /// - Parameter scope: nothing means what `ip route` chooses: IPv4 unicast without gateway is on the link.
  public init(
    destination: IPPrefix<Address>, gateway: Address? = nil, interfaceIndex: UInt32?, table: RouteTable = .main,
    protocol: RouteProtocol = .routerd, metric: UInt32 = 0, preferredSource: Address? = nil,
    kind: RouteKind = .unicast, scope: RoutingScope? = nil, mtu: UInt32? = nil
  ) {
    self.destination = destination
    self.gateway = gateway
    self.interfaceIndex = interfaceIndex
    self.table = table
    self.protocol = `protocol`
    self.metric = metric
    self.preferredSource = preferredSource
    self.kind = kind
    self.scope = scope ?? Self.usualScope(kind: kind, hasGateway: gateway != nil)
    self.mtu = mtu
  }

  private static func usualScope(kind: RouteKind, hasGateway: Bool) -> RoutingScope {
    guard Address.bitCount == 32 else { return .universe }
    return switch kind {
    case .local: .host
    case .unicast where !hasGateway: .link
    default: .universe
    }
  }
}

/// What happens to the packets of a route (`RTN_…` in `linux/rtnetlink.h`).
public struct RouteKind: RawRepresentable, Hashable, Sendable {
  /// The kernel's number.
  public let rawValue: UInt8

  /// Makes one from the kernel's number.
  public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  /// They are sent.
  public static let unicast: RouteKind = RouteKind(rawValue: 1)
  /// They are for this host.
  public static let local: RouteKind = RouteKind(rawValue: 2)
  /// They vanish.
  public static let blackhole: RouteKind = RouteKind(rawValue: 6)
  /// They are answered with ICMP "host unreachable" or ICMPv6 "no route".
  public static let unreachable: RouteKind = RouteKind(rawValue: 7)
  /// They are answered with ICMP "administratively prohibited".
  public static let prohibit: RouteKind = RouteKind(rawValue: 8)
}

/// Who added a route (`RTPROT_…` in `linux/rtnetlink.h`).
public struct RouteProtocol: RawRepresentable, Hashable, Sendable {
  /// The kernel's number.
  public let rawValue: UInt8

  /// Makes one from the kernel's number.
  public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  /// The kernel.
  public static let kernel: RouteProtocol = RouteProtocol(rawValue: 2)
  /// `ip route add` when nothing else is said.
  public static let boot: RouteProtocol = RouteProtocol(rawValue: 3)
  /// An administrator.
  public static let `static`: RouteProtocol = RouteProtocol(rawValue: 4)
  /// A router advertisement.
  public static let routerAdvertisement: RouteProtocol = RouteProtocol(rawValue: 9)
  /// A DHCP client.
  public static let dhcp: RouteProtocol = RouteProtocol(rawValue: 16)
  /// routerd; the number is free in the kernel's and iproute2's lists. Everything that routerd adds carries it, and
  /// nothing without it is ever removed.
  public static let routerd: RouteProtocol = RouteProtocol(rawValue: 133)
  /// routerd, for the routes of an IPv6 line that it runs itself. They live as long as what the line's routers say and
  /// not as long as the softwire, hence a number of their own.
  public static let routerdLine: RouteProtocol = RouteProtocol(rawValue: 134)

  /// Whether routerd added the route.
  public var isRouterds: Bool { self == .routerd || self == .routerdLine }
}

/// A routing table.
public struct RouteTable: RawRepresentable, Hashable, Sendable {
  /// The kernel's number.
  public let rawValue: UInt32

  /// Makes one from the kernel's number.
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// The main table.
  public static let main: RouteTable = RouteTable(rawValue: 254)
  /// The table in which the kernel keeps its own addresses.
  public static let local: RouteTable = RouteTable(rawValue: 255)
}

/// How far away something is (`RT_SCOPE_…` in `linux/rtnetlink.h`).
public struct RoutingScope: RawRepresentable, Hashable, Sendable {
  /// The kernel's number.
  public let rawValue: UInt8

  /// Makes one from the kernel's number.
  public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  /// Anywhere.
  public static let universe: RoutingScope = RoutingScope(rawValue: 0)
  /// On the link.
  public static let link: RoutingScope = RoutingScope(rawValue: 253)
  /// On this host.
  public static let host: RoutingScope = RoutingScope(rawValue: 254)
  /// Unknown; in a removal: any.
  static let nowhere: RoutingScope = RoutingScope(rawValue: 255)
}
