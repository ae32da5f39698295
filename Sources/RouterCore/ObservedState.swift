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
  /// The tunnel under the wanted name.
  public var tunnel: TunnelState?
  /// routerd's nftables table.
  public var table: Table?

  /// Makes an observation.
  public init(
    links: [Link] = [], ipv6Addresses: [InterfaceAddress<IPv6Address>] = [],
    ipv4Addresses: [InterfaceAddress<IPv4Address>] = [], ipv4Routes: [Route<IPv4Address>] = [],
    tunnel: TunnelState? = nil, table: Table? = nil
  ) {
    self.links = links
    self.ipv6Addresses = ipv6Addresses
    self.ipv4Addresses = ipv4Addresses
    self.ipv4Routes = ipv4Routes
    self.tunnel = tunnel
    self.table = table
  }

  /// The interface with this name.
  public func link(named name: String) -> Link? {
    links.first { $0.name == name }
  }

  /// The line's prefixes: those of the global addresses that somebody else put on the WAN interface, in the order of
  /// their first address. Addresses that come and go (temporary ones) and those that are not usable do not count.
  public func linePrefixes(on interface: String) -> [IPv6Prefix] {
    guard let wan = link(named: interface) else { return [] }
    var prefixes: [IPv6Prefix] = []
    let foreign = ipv6Addresses.filter {
      $0.interfaceIndex == wan.index && $0.protocol != .routerd && $0.address.isGlobalUnicast && $0.isUsable
        && !$0.flags.contains(.temporary) && $0.prefixLength <= 64
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
