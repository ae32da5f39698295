// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the kernel looks like, as far as routerd cares. It is asked anew in every pass and never remembered.

public import NFTables
public import Netlink
public import RouterKit

/// The state of the kernel at one moment.
public struct ObservedState: Hashable, Sendable {
  /// Every interface.
  public var links: [Link]
  /// Every IPv6 address.
  public var ipv6Addresses: [InterfaceAddress<IPv6Address>]
  /// Every IPv4 address.
  public var ipv4Addresses: [InterfaceAddress<IPv4Address>]
  /// Every IPv4 route of the main table.
  public var ipv4Routes: [Route<IPv4Address>]
  /// Every IPv6 route of the main table.
  public var ipv6Routes: [Route<IPv6Address>]
  /// The tunnel under the wanted name.
  public var tunnel: TunnelState?
  /// routerd's nftables table.
  public var table: Table?

  /// Makes an observation.
  public init(
    links: [Link] = [], ipv6Addresses: [InterfaceAddress<IPv6Address>] = [],
    ipv4Addresses: [InterfaceAddress<IPv4Address>] = [], ipv4Routes: [Route<IPv4Address>] = [],
    ipv6Routes: [Route<IPv6Address>] = [], tunnel: TunnelState? = nil, table: Table? = nil
  ) {
    self.links = links
    self.ipv6Addresses = ipv6Addresses
    self.ipv4Addresses = ipv4Addresses
    self.ipv4Routes = ipv4Routes
    self.ipv6Routes = ipv6Routes
    self.tunnel = tunnel
    self.table = table
  }

  /// The interface with this name.
  public func link(named name: String) -> Link? {
    links.first { $0.name == name }
  }

  /// The line's prefixes where somebody else runs it: those that a DHCPv6 client was delegated, and those of the global
  /// addresses on the WAN interface, in the order of their first address. Addresses that come and go (temporary ones) and
  /// those that another device has do not count. That detection of the latter still runs is no reason to wait: the prefix is
  /// the line's in any case, and the softwire's own address goes through it, too.
  public func linePrefixes(on interface: String) -> [IPv6Prefix] {
    guard let wan = link(named: interface) else { return [] }
    // Clients leave a route that takes what nobody uses of a delegated prefix (RFC 7084 WPD-5).
    let discards: Set<RouteKind> = [.unreachable, .blackhole, .prohibit]
    let delegated = ipv6Routes.filter {
      discards.contains($0.kind) && $0.protocol == .dhcp && $0.destination.address.isGlobalUnicast
        && (32...64).contains($0.destination.length)
    }
    var prefixes: [IPv6Prefix] = delegated.map(\.destination).sorted { $0.address < $1.address }
    let foreign = ipv6Addresses.filter {
      $0.interfaceIndex == wan.index && !$0.protocol.isRouterds && $0.address.isGlobalUnicast
        && $0.flags.isDisjoint(with: [.temporary, .duplicateDetected]) && $0.prefixLength <= 64
    }
    // An address that is on its way out (a deprecated one, after renumbering) names the line only if no other does.
    for address in foreign.sorted(by: { Self.rank($0) < Self.rank($1) }) {
      let prefix = IPv6Prefix(of: address.address, length: address.prefixLength)
      if !prefixes.contains(prefix) { prefixes.append(prefix) }
    }
    return prefixes
  }

  private static func rank(_ address: InterfaceAddress<IPv6Address>) -> (Int, IPv6Address) {
    (address.flags.contains(.deprecated) ? 1 : 0, address.address)
  }
}
