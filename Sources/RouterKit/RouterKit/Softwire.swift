// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a profile makes of a line: the kinds of softwire that carry IPv4 over it.

/// An IPv4-in-IPv6 softwire, as a profile derives it from the line and its rules.
public enum Softwire: Hashable, Sendable {
  /// MAP-E (RFC 7597): this router does the NAT, inside its port set.
  case mapE(MAPESoftwire)
  /// DS-Lite (RFC 6333): the AFTR does the NAT.
  case dsLite(DSLiteSoftwire)
  /// A fixed IPv4 address (RFC 2473): this router does the NAT, with all ports.
  case fixedIP(FixedIPSoftwire)

  /// Its kind.
  public var kind: SoftwireKind {
    switch self {
    case .mapE: .mapE
    case .dsLite: .dsLite
    case .fixedIP: .fixedIP
    }
  }

  /// The line's prefix that the softwire stands on.
  public var userPrefix: IPv6Prefix {
    switch self {
    case .mapE(let softwire): softwire.parameters.userPrefix
    case .dsLite(let softwire): softwire.userPrefix
    case .fixedIP(let softwire): softwire.userPrefix
    }
  }

  /// This router's end of the softwire: the CE address or the B4 address.
  public var localAddress: IPv6Address {
    switch self {
    case .mapE(let softwire): softwire.parameters.ceAddress
    case .dsLite(let softwire): softwire.b4Address
    case .fixedIP(let softwire): softwire.localAddress
    }
  }

  /// The far end that traffic is sent to: the BR or the AFTR.
  public var relay: IPv6Address {
    switch self {
    case .mapE(let softwire): softwire.borderRelay
    case .dsLite(let softwire): softwire.aftr
    case .fixedIP(let softwire): softwire.relay
    }
  }

  /// Every far end that traffic is accepted from, ``relay`` among them.
  public var allowedRelays: [IPv6Address] {
    switch self {
    case .mapE(let softwire): softwire.allowedRelays
    case .dsLite(let softwire): softwire.allowedRelays
    case .fixedIP(let softwire): [softwire.relay]
    }
  }

  /// The IPv4 address of this router on the softwire.
  public var ipv4Address: IPv4Address {
    switch self {
    case .mapE(let softwire): softwire.parameters.ipv4Address
    case .dsLite: DSLiteSoftwire.b4IPv4Address
    case .fixedIP(let softwire): softwire.ipv4Address
    }
  }
}

/// A MAP-E softwire.
public struct MAPESoftwire: Hashable, Sendable {
  /// Rule, IPv4 address, port set and CE address.
  public let parameters: CEParameters
  /// The border relay that traffic is sent to.
  public let borderRelay: IPv6Address
  /// The border relays that traffic is accepted from.
  public let allowedRelays: [IPv6Address]
  /// The rules by which other subscribers are reached directly; empty for hub and spoke.
  public let forwardingRules: [MappingRule]

  /// Makes a MAP-E softwire; `borderRelay` is put among `allowedRelays` if it is missing.
  public init(
    parameters: CEParameters, borderRelay: IPv6Address, allowedRelays: [IPv6Address] = [],
    forwardingRules: [MappingRule] = []
  ) {
    self.parameters = parameters
    self.borderRelay = borderRelay
    self.allowedRelays = Array(Set(allowedRelays + [borderRelay])).sorted()
    self.forwardingRules = forwardingRules
  }
}

/// A DS-Lite softwire.
public struct DSLiteSoftwire: Hashable, Sendable {
  /// The B4's own IPv4 address on every DS-Lite softwire (RFC 6333 §5.7), inside 192.0.0.0/29.
  public static let b4IPv4Address = IPv4Address(192, 0, 0, 2)
  /// The prefix length of the network that B4 and AFTR share (RFC 6333 §5.7).
  public static let b4IPv4PrefixLength = 29

  /// The line's prefix.
  public let userPrefix: IPv6Prefix
  /// This router's end: an address of the line's prefix that is the softwire's alone and never changes with the
  /// interface, because the AFTR keys its NAT state by it (RFC 7785).
  public let b4Address: IPv6Address
  /// The AFTR that traffic is sent to.
  public let aftr: IPv6Address
  /// The AFTRs that traffic is accepted from.
  public let allowedRelays: [IPv6Address]

  /// Makes a DS-Lite softwire in the first /64 of `userPrefix`; its interface identifier is the B4's IPv4 address, so
  /// that it is recognised in a capture.
  public init(userPrefix: IPv6Prefix, aftr: IPv6Address, allowedRelays: [IPv6Address] = []) {
    self.userPrefix = userPrefix
    b4Address = IPv6Address(
      bits: IPv6Prefix(of: userPrefix.address, length: 64).address.bits | UInt128(Self.b4IPv4Address.bits))
    self.aftr = aftr
    self.allowedRelays = Array(Set(allowedRelays + [aftr])).sorted()
  }
}
