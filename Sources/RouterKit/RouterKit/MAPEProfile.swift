// SPDX-License-Identifier: GPL-3.0-or-later
//
// What every MAP-E profile does alike: find the rule that matches one of the line's prefixes, derive the CE's
// parameters, and take the relay. A profile plugin states only what is particular to its ISP: the table, and which
// relays may answer.

/// A profile whose softwires come from mapping rules. Plugins usually only give `id`, `title`, `table` and, where the
/// ISP has more than one relay, `allowedRelays`.
public protocol MAPEProfile: ISPProfile {
  /// The built-in rules.
  var table: RuleTable { get }
  /// The sources that are asked before the table counts, which also serves as long as none of them has answered.
  var learnedSources: [RuleSource] { get }
  /// The relays that may carry traffic for a line under `rule`, best one first.
  func allowedRelays(for rule: MappingRule) -> [IPv6Address]
}

extension MAPEProfile {
  /// A rule that matches the prefix is enough to choose the profile.
  public var isChosenByPrefix: Bool { true }

  /// Keeps to the order of the profile.
  public var relaySelector: any BRSelector { PreferredOrderSelector() }

  /// MAP-E and nothing else.
  public var softwireKinds: Set<SoftwireKind> { [.mapE] }

  /// What the line itself says by DHCPv6.
  public var learnedSources: [RuleSource] { [.dhcpv6S46] }

  /// What is learned, then the built-in table.
  public func ruleSources(_ settings: ProfileSettings) throws(ProfileError) -> [RuleSource] {
    learnedSources + [.staticTable(table)]
  }

  /// The relay of the rule, which is the only one unless an ISP says otherwise.
  public func allowedRelays(for rule: MappingRule) -> [IPv6Address] {
    rule.borderRelay.map { [$0] } ?? []
  }

  /// The softwire by the longest rule that matches one of the prefixes.
  public func softwire(
    for facts: LineFacts, rules: RuleSet, relay: IPv6Address?, settings: ProfileSettings
  ) throws(ProfileError) -> Softwire {
    guard let firstPrefix = facts.prefixes.first else {
      throw ProfileError(.noPrefix, "the line has no global IPv6 prefix yet")
    }
    // A rule set is worth something only if one of its rules matches: the relay of a set that does not match belongs to
    // another ISP, and packets sent there vanish.
    var firstFailure: ProfileError?
    for prefix in facts.prefixes {
      guard let rule = rules.rule(for: prefix) else { continue }
      let parameters: CEParameters
      do {
        parameters = try rule.parameters(for: prefix)
      } catch {
        firstFailure = firstFailure ?? ProfileError(.prefixTooShort, error.description)
        continue
      }
      let allowed = allowedRelays(for: rule)
      guard let chosen = relay.flatMap({ allowed.contains($0) ? $0 : nil }) ?? allowed.first else {
        throw ProfileError(.noRelay, "the rule for \(rule.ipv6Prefix) comes without a border relay")
      }
      let forwarding = settings.usesMesh ? rules.rules.filter(\.isForwarding) : []
      return .mapE(
        MAPESoftwire(
          parameters: parameters, borderRelay: chosen, allowedRelays: allowed, forwardingRules: forwarding))
    }
    if let firstFailure { throw firstFailure }
    let mismatch = rules.mismatch(for: firstPrefix)
    throw ProfileError(mismatch.isTooShort ? .prefixTooShort : .noMatchingRule, mismatch.description)
  }
}
