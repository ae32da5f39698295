// SPDX-License-Identifier: GPL-3.0-or-later
//
// What routerd itself has learned of the line by router advertisements and DHCPv6, as a value without times: it changes
// when something about the line does, not with every second that passes.

public import RouterKit

/// The line as its routers and its DHCPv6 server describe it.
public struct LineState: Hashable, Sendable {
  /// A router that advertises itself, and whose lifetime is not over.
  public struct Router: Hashable, Sendable {
    /// Its link-local address.
    public var address: IPv6Address
    /// How much it wants to be the default router (RFC 4191): −1, 0 or 1.
    public var preference: Int

    /// Makes a router.
    public init(address: IPv6Address, preference: Int = 0) {
      self.address = address
      self.preference = preference
    }
  }

  /// A prefix of the line whose valid lifetime is not over.
  public struct Prefix: Hashable, Sendable {
    /// How it came.
    public enum Origin: Hashable, Sendable {
      /// Delegated by DHCPv6 (RFC 9915 §6.3).
      case delegated
      /// In a router advertisement; whether it is on the link (L), and whether addresses are made from it (A).
      case advertised(isOnLink: Bool, isAutonomous: Bool)
    }

    /// The prefix.
    public var prefix: IPv6Prefix
    /// How it came.
    public var origin: Origin
    /// Whether its preferred lifetime is not over.
    public var isPreferred: Bool

    /// Makes a prefix.
    public init(_ prefix: IPv6Prefix, _ origin: Origin, isPreferred: Bool = true) {
      self.prefix = prefix
      self.origin = origin
      self.isPreferred = isPreferred
    }
  }

  /// Whether enough was heard, or waited for in vain, to act on what is missing. Until then what an earlier run of the
  /// daemon left in the kernel stays.
  public var isSettled: Bool
  /// The routers, best one first.
  public var routers: [Router]
  /// The prefixes.
  public var prefixes: [Prefix]
  /// The line's resolvers in order of preference.
  public var resolvers: [IPv6Address]
  /// The MTU of the link that the routers announce, in bytes.
  public var mtu: Int?
  /// What DHCPv6 said about softwires (``RouterKit/RuleSource/dhcpv6S46``, ``RouterKit/RuleSource/dhcpv6AFTR``).
  public var answers: [RuleSource: RuleBook.Answer]
  /// What should be looked at, as sentences: a lease that nobody renews, a router that has gone silent.
  public var warnings: [String]

  /// Makes a state; by default nothing is known.
  public init(
    isSettled: Bool = false, routers: [Router] = [], prefixes: [Prefix] = [], resolvers: [IPv6Address] = [],
    mtu: Int? = nil, answers: [RuleSource: RuleBook.Answer] = [:], warnings: [String] = []
  ) {
    self.isSettled = isSettled
    self.routers = routers
    self.prefixes = prefixes
    self.resolvers = resolvers
    self.mtu = mtu
    self.answers = answers
    self.warnings = warnings
  }

  /// The prefixes that a softwire may stand on, in order of preference: those in use before those on their way out,
  /// delegated ones before those on the link.
  public var softwirePrefixes: [IPv6Prefix] {
    let candidates = prefixes.filter { prefix in
      switch prefix.origin {
      case .delegated: true
      case .advertised(_, let isAutonomous): isAutonomous
      }
    }
    return candidates.enumerated().sorted { ($0.element.rank, $0.offset) < ($1.element.rank, $1.offset) }
      .map(\.element.prefix).filter(\.address.isGlobalUnicast)
  }
}

extension LineState.Prefix {
  fileprivate var rank: Int {
    (isPreferred ? 0 : 2) + (origin == .delegated ? 0 : 1)
  }
}
