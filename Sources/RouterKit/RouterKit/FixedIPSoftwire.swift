// SPDX-License-Identifier: GPL-3.0-or-later
//
// A whole fixed IPv4 address over an IPv4-in-IPv6 tunnel (RFC 2473), as Japanese VNEs sell it. This router does the NAT,
// with all ports. The far end knows the tunnel by its near end, whose interface identifier comes with the contract.

/// What the contract for a fixed address says.
public struct FixedIPContract: Hashable, Sendable {
  /// This router's end of the tunnel.
  public enum LocalEnd: Hashable, Sendable {
    /// The low 64 bits of an address in the first /64 of the line's prefix.
    case identifier(UInt64)
    /// The whole address, which must lie in a prefix of the line.
    case address(IPv6Address)
  }

  /// The IPv4 address.
  public let ipv4Address: IPv4Address
  /// The far end.
  public let relay: IPv6Address
  /// The near end.
  public let localEnd: LocalEnd

  /// Makes a contract.
  /// - Parameter localEnd: nothing stands for what several services use: the identifier of the draft-03 layout with
  ///   PSID 0.
  public init(ipv4Address: IPv4Address, relay: IPv6Address, localEnd: LocalEnd? = nil) {
    self.ipv4Address = ipv4Address
    self.relay = relay
    self.localEnd =
      localEnd ?? .identifier(InterfaceIdentifierFormat.draft03.identifier(ipv4Address, psid: 0))
  }

  /// The softwire on the first of `prefixes` that can carry it.
  /// - Throws: ``ProfileError`` if the near end lies in none of them.
  public func softwire(on prefixes: [IPv6Prefix]) throws(ProfileError) -> FixedIPSoftwire {
    guard let first = prefixes.first else {
      throw ProfileError(.noPrefix, "the line has no global IPv6 prefix yet")
    }
    switch localEnd {
    case .identifier(let identifier):
      let subnet = IPv6Prefix(of: first.address, length: 64).address.bits
      return FixedIPSoftwire(
        userPrefix: first, localAddress: IPv6Address(bits: subnet | UInt128(identifier)), relay: relay,
        ipv4Address: ipv4Address)
    case .address(let address):
      // On the /64 of the link or inside the delegated prefix; a /128 stands for the /64 that it lies in.
      let home = prefixes.first { IPv6Prefix(of: $0.address, length: min($0.length, 64)).contains(address) }
      guard let home else {
        throw ProfileError(
          .noMatchingRule,
          "the tunnel's own end \(address) lies in no prefix of the line (\(first)): the contract is "
            + "for another line")
      }
      return FixedIPSoftwire(userPrefix: home, localAddress: address, relay: relay, ipv4Address: ipv4Address)
    }
  }
}

/// A softwire with a whole fixed IPv4 address.
public struct FixedIPSoftwire: Hashable, Sendable {
  /// The line's prefix.
  public let userPrefix: IPv6Prefix
  /// This router's end.
  public let localAddress: IPv6Address
  /// The far end.
  public let relay: IPv6Address
  /// The fixed address.
  public let ipv4Address: IPv4Address
}
