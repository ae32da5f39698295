// SPDX-License-Identifier: GPL-3.0-or-later
//
// The places that rules come from. A profile lists them in its order of preference; the daemon does the asking, and keeps
// what it was told.

/// Where a profile's rules come from. This is a description; the daemon does the I/O.
public enum RuleSource: Hashable, Sendable {
  /// A table that lies beside the plugin.
  case staticTable(RuleTable)
  /// AFTR addresses in order of preference, which the operator gave.
  case aftrAddresses([IPv6Address])
  /// AFTR addresses that were right once: they count when every source before them has failed.
  case lastResortAFTRs([IPv6Address])
  /// The operator's contract.
  case fixedIP(FixedIPContract)
  /// A DNS name whose AAAA records are the AFTR's addresses, asked at the line's own resolvers.
  case aftrName(String)
  /// The softwire containers in the answers of the line's DHCPv6 server (RFC 7598).
  case dhcpv6S46
  /// The AFTR's name in the answers of the line's DHCPv6 server (RFC 6334).
  case dhcpv6AFTR
  /// HB46PP 1.1: the line's resolvers name a server, which tells softwires of several kinds.
  case hb46pp
  /// A rule server of the kind that JPNE runs, asked with the operator's own key.
  /// - Parameter base: the URL up to the place where the key goes.
  case jpneAPI(base: String)
  /// A rule server of the kind that OCN runs, asked with the operator's own key.
  /// - Parameter url: the URL without its query.
  case ocnAPI(url: String)

  /// Whether somebody has to be asked.
  public var isLearned: Bool {
    switch self {
    case .staticTable, .aftrAddresses, .lastResortAFTRs, .fixedIP: false
    case .aftrName, .dhcpv6S46, .dhcpv6AFTR, .hb46pp, .jpneAPI, .ocnAPI: true
    }
  }
}

extension RuleSource: CustomStringConvertible {
  /// The name for people, inside a sentence.
  public var description: String {
    switch self {
    case .staticTable: "the built-in table"
    case .aftrAddresses: "the configured AFTR"
    case .lastResortAFTRs: "the known AFTR addresses"
    case .fixedIP: "the configured contract"
    case .aftrName(let name): "the DNS name \(name.prefix(255))"
    case .dhcpv6S46: "DHCPv6 (S46)"
    case .dhcpv6AFTR: "DHCPv6 (AFTR name)"
    case .hb46pp: "HB46PP"
    case .jpneAPI: "the JPNE rule server"
    case .ocnAPI: "the OCN rule server"
    }
  }
}
