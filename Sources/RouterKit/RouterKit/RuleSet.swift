// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a rule source gave: the rules (or AFTRs) that one softwire is chosen from, and the search for the one that is
// meant for a line. If none is, the search says which came nearest and where it parts from the line's prefix, because
// "no rule" alone has cost people days.

/// The answer of one rule source.
public struct RuleSet: Hashable, Sendable {
  /// Mapping rules, for MAP-E.
  public var rules: [MappingRule]
  /// AFTR addresses in order of preference, for DS-Lite.
  public var aftrs: [IPv6Address]
  /// The AFTR's name, where the source gives that and no address.
  public var aftrName: String?
  /// Fixed addresses.
  public var fixedIPs: [FixedIPContract]
  /// The kinds of softwire in the order that the source wants them tried; those missing come last.
  public var order: [SoftwireKind]
  /// What lines without a rule are.
  public var hints: [RuleTable.LineHint]

  /// Makes a rule set.
  public init(
    rules: [MappingRule] = [], aftrs: [IPv6Address] = [], aftrName: String? = nil, fixedIPs: [FixedIPContract] = [],
    order: [SoftwireKind] = [], hints: [RuleTable.LineHint] = []
  ) {
    self.rules = rules
    self.aftrs = aftrs
    self.aftrName = aftrName
    self.fixedIPs = fixedIPs
    self.order = order
    self.hints = hints
  }

  /// Whether something in the set makes one of these kinds of softwire for a line with one of these prefixes. Rules that
  /// match none belong to another line, whatever relay they name. AFTRs are for every line.
  public func serves(_ prefixes: [IPv6Prefix], with kinds: Set<SoftwireKind>) -> Bool {
    kinds.contains { kind in
      switch kind {
      case .mapE: prefixes.contains { rule(for: $0) != nil }
      case .fixedIP: fixedIP(on: prefixes) != nil
      case .dsLite: !aftrs.isEmpty
      }
    }
  }

  /// The first contract whose near end can be on a line with these prefixes.
  public func fixedIP(on prefixes: [IPv6Prefix]) -> FixedIPContract? {
    fixedIPs.first { (try? $0.softwire(on: prefixes)) != nil }
  }

  /// The longest rule that matches `prefix`.
  public func rule(for prefix: IPv6Prefix) -> MappingRule? {
    rules.filter { $0.matches(prefix) }.max { $0.ipv6Prefix.length < $1.ipv6Prefix.length }
  }

  /// Why no rule matches `prefix`.
  public func mismatch(for prefix: IPv6Prefix) -> RuleMismatch {
    let nearest = rules.max { a, b in
      (a.ipv6Prefix.commonLength(with: prefix), b.ipv6Prefix.length)
        < (b.ipv6Prefix.commonLength(with: prefix), a.ipv6Prefix.length)
    }
    let hint = hints.filter { $0.prefix.contains(prefix) }.max { $0.prefix.length < $1.prefix.length }
    return RuleMismatch(prefix: prefix, nearest: nearest, hint: hint?.text)
  }
}

/// The kinds of softwire.
public enum SoftwireKind: String, Hashable, Sendable, CaseIterable {
  /// MAP-E.
  case mapE = "map-e"
  /// A fixed address.
  case fixedIP = "fixed-ip"
  /// DS-Lite.
  case dsLite = "ds-lite"
}

/// A prefix that no rule matches, explained.
public struct RuleMismatch: Hashable, Sendable {
  /// The line's prefix.
  public let prefix: IPv6Prefix
  /// The rule that shares the most leading bits with it.
  public let nearest: MappingRule?
  /// What such a line is, where somebody knows.
  public let hint: String?

  /// Whether the prefix is no mismatch but an incomplete one: the rule begins inside it.
  public var isTooShort: Bool {
    nearest.map { prefix.contains($0.ipv6Prefix) && prefix.length < $0.ipv6Prefix.length } ?? false
  }

  /// How many leading bits prefix and nearest rule share.
  public var commonLength: Int {
    nearest.map { $0.ipv6Prefix.commonLength(with: prefix) } ?? 0
  }
}

extension RuleMismatch: CustomStringConvertible {
  /// Sentences for a person: the nearest rule, which bits differ, and what the line probably is.
  public var description: String {
    var text = "no rule matches \(prefix)"
    if let nearest {
      let rule = nearest.ipv6Prefix
      let common = commonLength
      if isTooShort {
        return "\(prefix) is too short: rules like \(rule) begin inside it and need \(nearest.userPrefixLength) bits"
      } else {
        let end = min(rule.length, prefix.length) - 1
        text += "; the nearest is \(rule), which agrees in the first \(common) of its \(rule.length) bits: "
        text += end == common ? "bit \(common)" : "bits \(common) to \(end)"
        text += " should be \(Self.binary(rule, common...end)) and are \(Self.binary(prefix, common...end))"
      }
    }
    if let hint { text += ". \(hint)" }
    return text
  }

  private static func binary(_ prefix: IPv6Prefix, _ bits: ClosedRange<Int>) -> String {
    let digits = String(prefix.extractBits(at: bits.lowerBound, count: bits.count), radix: 2)
    return String(repeating: "0", count: max(bits.count - digits.count, 0)) + digits
  }
}
