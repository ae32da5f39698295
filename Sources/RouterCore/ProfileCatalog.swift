// SPDX-License-Identifier: GPL-3.0-or-later
//
// The loaded profiles, and the choice among them: a named one, or with "auto" the one whose rule matches the line. No
// ISP is known here; everything comes from the profiles.

public import RouterKit

/// The profiles that can be chosen from.
public struct ProfileCatalog: Sendable {
  /// The profiles, ordered by name.
  public let profiles: [any ISPProfile]

  /// Makes a catalog.
  public init(_ profiles: [any ISPProfile]) {
    self.profiles = profiles.sorted { $0.id.name < $1.id.name }
  }

  /// The names that can be written in the configuration.
  public var names: [String] {
    profiles.map(\.id.name)
  }

  /// The profile called `name`.
  /// - Throws: ``SelectionError`` that lists the names there are.
  public func profile(named name: String) throws(SelectionError) -> any ISPProfile {
    guard let profile = profiles.first(where: { $0.id.name == name }) else {
      let known =
        names.isEmpty ? "no profile plugin is loaded" : "there are \((["auto"] + names).joined(separator: ", "))"
      throw SelectionError(.unknownProfile, "there is no profile “\(name.prefix(40))”; \(known)")
    }
    return profile
  }

  /// The profile and softwire for a line.
  /// - Parameters:
  ///   - book: what the learned sources said; nothing where nobody asks them.
  ///   - relays: what is known of the relays.
  /// - Throws: ``SelectionError`` whose text explains to a person why there is none.
  public func select(
    _ choice: ProfileChoice, facts: LineFacts, settings: ProfileSettings, book: RuleBook? = nil,
    relays: RelayKnowledge = RelayKnowledge()
  ) throws(SelectionError) -> Selection {
    let attempt = Attempt(settings: settings, book: book, relays: relays)
    switch choice {
    case .named(let name):
      let profile = try profile(named: name)
      do {
        return Selection(
          profile: profile, softwire: try attempt.softwire(profile, facts: facts))
      } catch {
        throw SelectionError(profile.id.name, error)
      }
    case .automatic:
      return try selectAutomatically(facts, attempt)
    }
  }

  /// The prefixes count in their order, which puts one that is on its way out last. Only one profile has a rule for a
  /// prefix, unless a plugin from outside overlaps: then the longer rule wins. If none has, the reason of the profile
  /// that comes nearest says most. What the line announces of
  /// itself counts only where no profile knows the prefix.
  private func selectAutomatically(
    _ facts: LineFacts, _ attempt: Attempt
  ) throws(SelectionError) -> Selection {
    guard let first = facts.prefixes.first else {
      throw SelectionError(.noPrefix, "the line has no global IPv6 prefix yet")
    }
    var failures: [(profile: any ISPProfile, error: ProfileError)] = []
    for prefix in facts.prefixes {
      var best: Selection?
      for profile in profiles where profile.isChosenByPrefix {
        do {
          let selection = Selection(
            profile: profile,
            softwire: try attempt.softwire(profile, facts: LineFacts(prefixes: [prefix])))
          if selection.ruleLength > (best?.ruleLength ?? -1) { best = selection }
        } catch {
          failures.append((profile, error))
        }
      }
      if let best { return best }
    }
    var awaited: SelectionError?
    for profile in profiles where profile.isChosenByAnnouncement {
      do {
        return Selection(profile: profile, softwire: try attempt.softwire(profile, facts: facts))
      } catch {
        if error.code == .notLearned { awaited = awaited ?? SelectionError(profile.id.name, error) }
      }
    }
    if let other = failures.first(where: { $0.error.code != .noMatchingRule }) {
      throw SelectionError(other.profile.id.name, other.error)
    }
    if let awaited { throw awaited }
    guard !failures.isEmpty else {
      throw SelectionError(.noMatchingRule, "no profile that could match \(first) is loaded")
    }
    throw SelectionError(.noMatchingRule, explain(first, attempt))
  }

  private func explain(_ prefix: IPv6Prefix, _ attempt: Attempt) -> String {
    let mismatches = profiles.filter(\.isChosenByPrefix).compactMap { profile in
      (try? attempt.answer(profile, LineFacts(prefixes: [prefix]))).map { (profile, $0.mismatch(for: prefix)) }
    }
    let nearest = mismatches.max {
      // Whoever knows what the line is comes first, then whoever has the nearest rule.
      ($0.1.hint == nil ? 0 : 1, $0.1.commonLength) < ($1.1.hint == nil ? 0 : 1, $1.1.commonLength)
    }
    var text = nearest.map { "profile \($0.0.id.name): \($0.1)" } ?? "no rule matches \(prefix)"
    if nearest?.1.hint == nil {
      text +=
        ". If the line has DS-Lite, choose it by name, for nothing in a prefix tells its AFTR: routerd profile set dslite"
    }
    return text
  }

  /// The sources that have to be asked for this choice.
  public func learnedSources(_ choice: ProfileChoice, settings: ProfileSettings) -> Set<RuleSource> {
    let asked: [any ISPProfile] =
      switch choice {
      case .named(let name): profiles.filter { $0.id.name == name }
      case .automatic: profiles.filter { $0.isChosenByPrefix || $0.isChosenByAnnouncement }
      }
    return Set(asked.flatMap { (try? $0.ruleSources(settings)) ?? [] }.filter(\.isLearned))
  }
}

/// What profiles are tried with.
private struct Attempt {
  let settings: ProfileSettings
  let book: RuleBook?
  let relays: RelayKnowledge

  func softwire(_ profile: any ISPProfile, facts: LineFacts) throws(ProfileError) -> Softwire {
    let rules = try answer(profile, facts)
    let first = try profile.softwire(for: facts, rules: rules, relay: relays.current, settings: settings)
    // The profile says which relays are allowed; its selector says which of them is used.
    let selected = profile.relaySelector.select(
      from: [first.relay] + first.allowedRelays.filter { $0 != first.relay }, reachable: relays.reachable,
      current: relays.current)
    guard let selected, selected != first.relay else { return first }
    return try profile.softwire(for: facts, rules: rules, relay: selected, settings: settings)
  }

  /// The answer of the first source whose rules are for this line; if there is none, one that explains why.
  func answer(_ profile: any ISPProfile, _ facts: LineFacts) throws(ProfileError) -> RuleSet {
    var unfit: RuleSet?
    var awaited: [String] = []
    var failures: [String] = []
    for source in try profile.ruleSources(settings) {
      let rules: RuleSet
      switch source {
      case .staticTable(let table):
        rules = RuleSet(rules: table.rules(includingUnconfirmed: settings.usesUnconfirmedRules), hints: table.hints)
      case .aftrAddresses(let addresses):
        rules = RuleSet(aftrs: addresses)
      case .lastResortAFTRs(let addresses):
        // Somebody may still answer with better ones.
        guard awaited.isEmpty else { continue }
        rules = RuleSet(aftrs: addresses)
      case .fixedIP(let contract):
        rules = RuleSet(fixedIPs: [contract])
      case .aftrName, .dhcpv6S46, .dhcpv6AFTR, .hb46pp, .jpneAPI, .ocnAPI:
        guard let book else { continue }
        switch book.answer(of: source) {
        case .learned(let learned)?: rules = learned
        case .failed(let reason)?:
          failures.append("\(source): \(reason)")
          continue
        case nil:
          awaited.append(source.description)
          continue
        }
      }
      if rules.serves(facts.prefixes, with: profile.softwireKinds) { return rules }
      // A table says best why it does not match; it comes last.
      unfit = rules
    }
    if let unfit { return unfit }
    guard awaited.isEmpty else {
      throw ProfileError(.notLearned, "waiting for an answer of \(awaited.joined(separator: ", "))")
    }
    throw refusal(of: profile, facts, failures)
  }

  /// Without any rules the profile itself says best what it needs.
  private func refusal(of profile: any ISPProfile, _ facts: LineFacts, _ failures: [String]) -> ProfileError {
    do {
      _ = try profile.softwire(for: facts, rules: RuleSet(), relay: nil, settings: settings)
      return ProfileError(.noRelay, "profile \(profile.id.name) makes a softwire of nothing")
    } catch {
      guard !failures.isEmpty else { return error }
      return ProfileError(error.code, "\(error.description) (asked: \(failures.joined(separator: "; ")))")
    }
  }
}

/// What is known of a softwire's relays when one of them is chosen.
public struct RelayKnowledge: Hashable, Sendable {
  /// The relay in use.
  public var current: IPv6Address?
  /// The relays that answered lately; empty if nobody has looked.
  public var reachable: Set<IPv6Address>

  /// Says what is known; by default nothing.
  public init(current: IPv6Address? = nil, reachable: Set<IPv6Address> = []) {
    self.current = current
    self.reachable = reachable
  }
}

/// A profile and the softwire that it makes of the line.
public struct Selection: Sendable {
  /// The profile.
  public let profile: any ISPProfile
  /// Its softwire.
  public let softwire: Softwire

  /// The length of the rule's IPv6 prefix in bits, 0 where there is none.
  fileprivate var ruleLength: Int {
    switch softwire {
    case .mapE(let mapE): mapE.parameters.rule.ipv6Prefix.length
    case .dsLite, .fixedIP: 0
    }
  }

  /// Why the softwire cannot work on this line although the numbers are right; nothing if it can.
  public var obstacle: ProfileError? {
    guard case .mapE(let mapE) = softwire, !mapE.parameters.ownsCESubnet else { return nil }
    let parameters = mapE.parameters
    return ProfileError(
      .subnetNotOurs,
      "the CE address \(parameters.ceAddress) lies in \(IPv6Prefix(of: parameters.ceAddress, length: 64)), which is not "
        + "part of this router's \(parameters.userPrefix): a home gateway in front probably keeps it for its own LAN, so "
        + "answers never come here. Let that gateway run MAP-E, or connect this router to the line in its place")
  }
}

/// Why there is no profile or softwire for a line.
public struct SelectionError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What kind of reason it is, for programs: the profile's codes, or `unknown-profile`.
  public let code: String
  /// A sentence for a person.
  public let description: String

  init(_ code: Code, _ description: String) {
    self.code = code.rawValue
    self.description = description
  }

  init(_ profile: String, _ error: ProfileError) {
    code = error.code.rawValue
    description = "profile \(profile): \(error.description)"
  }

  enum Code: String {
    case unknownProfile = "unknown-profile"
    case noPrefix = "no-prefix"
    case noMatchingRule = "no-matching-rule"
  }

  /// Whether no rule matches the line.
  public var isMismatch: Bool { code == Code.noMatchingRule.rawValue }
  /// Whether the line has no prefix yet, so that nothing can be said.
  public var isPrefixMissing: Bool { code == Code.noPrefix.rawValue }
  /// Whether a source that may change everything has not answered yet.
  public var isAnswerAwaited: Bool { code == ProfileError.Code.notLearned.rawValue }
  /// Whether the prefix that was given is not long enough to say anything.
  public var isPrefixTooShort: Bool { code == ProfileError.Code.prefixTooShort.rawValue }
}
