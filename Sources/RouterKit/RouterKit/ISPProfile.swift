// SPDX-License-Identifier: GPL-3.0-or-later
//
// The contract of a profile plugin. A profile is pure knowledge of one ISP: it names where rules come from, which border
// relay to take, and makes a softwire of rules and line. It opens no socket and no file; the daemon does all I/O.

/// One ISP's way of carrying IPv4 over its IPv6 line.
public protocol ISPProfile: Sendable {
  /// `isp.NAME`; NAME is what people write in `profile = "NAME"`.
  var id: PluginID { get }
  /// The name for people, for example "BIGLOBE IPv6 option (MAP-E)".
  var title: String { get }
  /// Whether `auto` may choose this profile when one of its rules matches the line's prefix. DS-Lite says no: nothing
  /// in a prefix tells which AFTR serves it.
  var isChosenByPrefix: Bool { get }
  /// Whether `auto` may choose this profile when no rule of another matches but one of its sources has announced a
  /// softwire for this very line.
  var isChosenByAnnouncement: Bool { get }
  /// The kinds of softwire that it can make: what a source says about others is passed over.
  var softwireKinds: Set<SoftwireKind> { get }
  /// Where rules come from, in order of preference.
  /// - Throws: ``ProfileError`` if the settings make no sense for this profile.
  func ruleSources(_ settings: ProfileSettings) throws(ProfileError) -> [RuleSource]
  /// How the relay is chosen among those that are allowed.
  var relaySelector: any BRSelector { get }
  /// The softwire for a line.
  /// - Parameters:
  ///   - facts: what is known of the line.
  ///   - rules: the answer of the first rule source that had one.
  ///   - relay: the relay that the selector chose, or nothing before the first choice.
  ///   - settings: the operator's settings.
  /// - Throws: ``ProfileError`` whose text tells a person why there is none.
  func softwire(
    for facts: LineFacts, rules: RuleSet, relay: IPv6Address?, settings: ProfileSettings
  ) throws(ProfileError) -> Softwire
}

extension ISPProfile {
  /// By name or by prefix only.
  public var isChosenByAnnouncement: Bool { false }
  /// All of them.
  public var softwireKinds: Set<SoftwireKind> { Set(SoftwireKind.allCases) }
}

/// What a profile may know of the line.
public struct LineFacts: Hashable, Sendable {
  /// The line's prefixes in order of preference: delegated ones, then those on the link.
  public var prefixes: [IPv6Prefix]

  /// Makes the facts of a line.
  public init(prefixes: [IPv6Prefix]) {
    self.prefixes = prefixes
  }
}

/// The operator's settings that profiles may use.
public struct ProfileSettings: Hashable, Sendable {
  /// Whether rules count that nobody has seen on a line.
  public var usesUnconfirmedRules: Bool
  /// Whether other subscribers are reached directly where the rules allow it.
  public var usesMesh: Bool
  /// The AFTR: a service's short name, a DNS name or an address; nothing if the operator chose none.
  public var aftr: String?
  /// The operator's contract for a fixed IPv4 address, if there is one.
  public var fixedIP: FixedIPContract?

  /// Makes settings.
  public init(
    usesUnconfirmedRules: Bool = false, usesMesh: Bool = false, aftr: String? = nil, fixedIP: FixedIPContract? = nil
  ) {
    self.usesUnconfirmedRules = usesUnconfirmedRules
    self.usesMesh = usesMesh
    self.aftr = aftr
    self.fixedIP = fixedIP
  }
}

/// Chooses the relay (BR or AFTR) that traffic is sent to.
public protocol BRSelector: Sendable {
  /// The relay to use.
  /// - Parameters:
  ///   - candidates: the allowed relays in the profile's order.
  ///   - reachable: those that answered lately; empty when nobody has looked yet.
  ///   - current: the one in use.
  /// - Returns: one of `candidates`, or nothing if there is none.
  func select(from candidates: [IPv6Address], reachable: Set<IPv6Address>, current: IPv6Address?) -> IPv6Address?
}

/// Keeps the relay in use while it answers, else takes the first that does; without any knowledge, the first.
public struct PreferredOrderSelector: BRSelector {
  /// Makes the selector.
  public init() {}

  /// The relay in use if it answers, else the first that does, else the first.
  public func select(
    from candidates: [IPv6Address], reachable: Set<IPv6Address>, current: IPv6Address?
  ) -> IPv6Address? {
    if let current, candidates.contains(current), reachable.isEmpty || reachable.contains(current) {
      return current
    }
    return candidates.first { reachable.contains($0) } ?? candidates.first
  }
}

/// Why a profile has no softwire for a line.
public struct ProfileError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What kind of reason it is, for programs.
  public enum Code: String, Hashable, Sendable {
    /// None of the profile's rules matches the prefix.
    case noMatchingRule = "no-matching-rule"
    /// A rule matches, but the prefix is too short for it.
    case prefixTooShort = "prefix-too-short"
    /// The CE address would lie in a /64 that belongs to somebody else.
    case subnetNotOurs = "subnet-not-ours"
    /// The operator's settings do not fit the profile.
    case badSettings = "bad-settings"
    /// The line has no prefix yet.
    case noPrefix = "no-prefix"
    /// The matching rule names no border relay and the profile knows none.
    case noRelay = "no-relay"
    /// None of the profile's sources has answered yet.
    case notLearned = "not-learned"
  }

  /// What kind of reason it is.
  public let code: Code
  /// A sentence for a person.
  public let description: String

  /// Makes an error.
  public init(_ code: Code, _ description: String) {
    self.code = code
    self.description = description
  }
}
