// SPDX-License-Identifier: GPL-3.0-or-later
//
// A MAP mapping rule and its arithmetic (RFC 7597 §5). The same rule serves both ways: as the basic mapping rule it
// turns the line's own prefix into IPv4 address, PSID and CE address; as a forwarding mapping rule it turns the IPv4
// address and port of another subscriber into that subscriber's CE address.
//
//   user prefix  = | rule IPv6 prefix | EA bits | … |
//   EA bits      = | rest of the IPv4 address | PSID |

/// A mapping rule: which part of an IPv6 prefix is which part of an IPv4 address and port set.
public struct MappingRule: Hashable, Sendable {
  /// The rule's IPv6 prefix, at most 64 bits.
  public let ipv6Prefix: IPv6Prefix
  /// The rule's IPv4 prefix.
  public let ipv4Prefix: IPv4Prefix
  /// How many bits behind the IPv6 prefix are embedded address bits, 0 to 48.
  public let eaBitsLength: Int
  /// Number of port bits before the PSID (a), 0 to 15.
  public let psidOffset: Int
  /// Number of PSID bits (k), 0 to 16. Zero: the address is not shared.
  public let psidLength: Int
  /// The PSID where it is not part of the EA bits (EA length 0 on a shared address, by PORTPARAMS only).
  public let explicitPSID: UInt16?
  /// The layout of the CE address.
  public let identifierFormat: InterfaceIdentifierFormat
  /// The border relay that belongs to this rule, if the source of the rule gives one per rule.
  public let borderRelay: IPv6Address?
  /// Whether the rule may be used to reach other subscribers directly (FMR, RFC 7597 §5).
  public let isForwarding: Bool

  /// Makes a rule after checking that its numbers fit together.
  /// - Parameter psidLength: may be left out; it then follows from EA length and IPv4 prefix (RFC 7597 §5.2).
  /// - Throws: ``MappingRuleError`` with the number that does not fit.
  public init(
    ipv6Prefix: IPv6Prefix, ipv4Prefix: IPv4Prefix, eaBitsLength: Int, psidOffset: Int, psidLength: Int? = nil,
    explicitPSID: UInt16? = nil, identifierFormat: InterfaceIdentifierFormat, borderRelay: IPv6Address? = nil,
    isForwarding: Bool = false
  ) throws(MappingRuleError) {
    let suffixLength = 32 - ipv4Prefix.length
    let derived = max(eaBitsLength - suffixLength, 0)
    let psidLength = psidLength ?? derived
    guard (0...48).contains(eaBitsLength) else {
      throw MappingRuleError("EA length \(eaBitsLength) is not within 0 to 48")
    }
    guard ipv6Prefix.length + eaBitsLength <= 64 else {
      throw MappingRuleError("IPv6 prefix \(ipv6Prefix) and \(eaBitsLength) EA bits are longer than 64 bits together")
    }
    guard (0...15).contains(psidOffset) else {
      throw MappingRuleError("PSID offset \(psidOffset) is not within 0 to 15")
    }
    guard (0...16).contains(psidLength), psidOffset + psidLength <= 16 || psidLength == 0 else {
      throw MappingRuleError("PSID offset \(psidOffset) and PSID length \(psidLength) are more than 16 bits together")
    }
    if eaBitsLength > 0, psidLength != derived {
      throw MappingRuleError(
        "PSID length \(psidLength) does not follow from \(eaBitsLength) EA bits and IPv4 prefix \(ipv4Prefix), "
          + "which give \(derived)")
    }
    if let explicitPSID {
      guard eaBitsLength == 0, UInt32(explicitPSID) < 1 << UInt32(psidLength) else {
        throw MappingRuleError("PSID \(explicitPSID) does not fit \(psidLength) bits of a rule without EA bits")
      }
    } else if eaBitsLength == 0, psidLength > 0 {
      throw MappingRuleError("a rule without EA bits on a shared address needs its PSID")
    }
    self.ipv6Prefix = ipv6Prefix
    self.ipv4Prefix = ipv4Prefix
    self.eaBitsLength = eaBitsLength
    self.psidOffset = psidOffset
    self.psidLength = psidLength
    self.explicitPSID = explicitPSID
    self.identifierFormat = identifierFormat
    self.borderRelay = borderRelay
    self.isForwarding = isForwarding
  }

  /// The length of prefix that carries all EA bits; for every rule known in Japan this is 56.
  public var userPrefixLength: Int {
    ipv6Prefix.length + eaBitsLength
  }

  /// Whether the rule is for the line with `prefix`: the rule's bits are the first bits of it.
  public func matches(_ prefix: IPv6Prefix) -> Bool {
    ipv6Prefix.contains(prefix)
  }

  /// What the rule gives to the line with `userPrefix`.
  ///
  /// Bits of `userPrefix` behind the EA bits do not count and are zero in the CE address, which therefore lies in the
  /// first /64 of the part that the rule describes (RFC 7597 §5.2; JPNE's rule API says `ipv6_fixlen: 56`). Whether
  /// that /64 is the line's own is told by ``CEParameters/ownsCESubnet``.
  /// - Throws: ``MappingRuleError`` if the prefix is not the rule's, or too short to hold all EA bits.
  public func parameters(for userPrefix: IPv6Prefix) throws(MappingRuleError) -> CEParameters {
    guard matches(userPrefix) else {
      throw MappingRuleError("\(userPrefix) does not lie in the rule's prefix \(ipv6Prefix)")
    }
    guard userPrefix.length >= userPrefixLength else {
      throw MappingRuleError(
        "\(userPrefix) is too short: the rule \(ipv6Prefix) needs \(userPrefixLength) bits, "
          + "\(eaBitsLength) of them for IPv4 address and port set")
    }
    let eaBits = UInt64(truncatingIfNeeded: userPrefix.extractBits(at: ipv6Prefix.length, count: eaBitsLength))
    let suffixLength = min(32 - ipv4Prefix.length, eaBitsLength)
    let psid = explicitPSID ?? UInt16(truncatingIfNeeded: eaBits & ((1 << UInt64(psidLength)) - 1))
    // With fewer EA bits than the IPv4 prefix leaves open, the line is given an IPv4 prefix and takes its first address.
    let suffix = UInt32(truncatingIfNeeded: eaBits >> UInt64(psidLength))
    let ipv4 = IPv4Address(bits: ipv4Prefix.address.bits | suffix << UInt32(32 - ipv4Prefix.length - suffixLength))
    return CEParameters(
      rule: self, userPrefix: userPrefix, ipv4Address: ipv4, psid: psid,
      portSet: psidLength == 0 ? nil : PortSet(psidOffset: psidOffset, psidLength: psidLength, psid: psid),
      ceAddress: ceAddress(ipv4, psid: psid, prefix: IPv6Prefix(of: userPrefix.address, length: userPrefixLength)))
  }

  /// The CE address of whoever has `port` of `address`, by this rule as forwarding mapping rule; nothing if the address
  /// is outside the rule or the port belongs to nobody (it then goes to the BR).
  public func ceAddress(for address: IPv4Address, port: UInt16) -> IPv6Address? {
    guard ipv4Prefix.contains(address), explicitPSID == nil else { return nil }
    let suffixLength = 32 - ipv4Prefix.length
    // The address alone does not say which subscriber has a longer prefix inside it.
    guard eaBitsLength >= suffixLength else { return nil }
    var psid: UInt16 = 0
    if psidLength > 0 {
      guard psidOffset == 0 || port >> UInt16(16 - psidOffset) != 0 else { return nil }
      psid = PortSet.psid(of: port, offset: psidOffset, length: psidLength)
    }
    let suffix =
      suffixLength == 0 ? 0 : UInt128(address.bits & UInt32(truncatingIfNeeded: (1 << UInt64(suffixLength)) - 1))
    let eaBits = suffix << UInt128(psidLength) | UInt128(psid)
    let prefix = IPv6Prefix(
      of: IPv6Address(bits: ipv6Prefix.address.bits | eaBits << UInt128(128 - userPrefixLength)),
      length: userPrefixLength)
    return ceAddress(address, psid: psid, prefix: prefix)
  }

  private func ceAddress(_ address: IPv4Address, psid: UInt16, prefix: IPv6Prefix) -> IPv6Address {
    IPv6Address(bits: prefix.address.bits | UInt128(identifierFormat.identifier(address, psid: psid)))
  }
}

/// What a mapping rule gives to one line.
public struct CEParameters: Hashable, Sendable {
  /// The basic mapping rule.
  public let rule: MappingRule
  /// The prefix of the line, as it was found.
  public let userPrefix: IPv6Prefix
  /// The IPv4 address.
  public let ipv4Address: IPv4Address
  /// The PSID; 0 where the address is not shared.
  public let psid: UInt16
  /// The ports of this CE, or nothing if the whole address belongs to it.
  public let portSet: PortSet?
  /// The IPv6 end of the softwire.
  public let ceAddress: IPv6Address

  /// Whether the /64 of the CE address is part of the line's prefix. Behind a home gateway that delegates a /60 it may
  /// be the gateway's own LAN, where answers never reach this router.
  public var ownsCESubnet: Bool {
    userPrefix.length <= 64
      ? userPrefix.contains(ceAddress) : IPv6Prefix(of: ceAddress, length: 64).contains(userPrefix)
  }
}

/// Numbers of a mapping rule, or of a rule and a prefix, that do not fit together.
public struct MappingRuleError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What does not fit, as a sentence without full stop.
  public let description: String

  /// Makes an error with its sentence.
  public init(_ description: String) {
    self.description = description
  }
}
