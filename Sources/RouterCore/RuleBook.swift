// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the sources that have to be asked said last. It is filled by whoever asks them, and read when a profile is chosen.
// An answer may be a name that another source has to resolve first (an AFTR's); that is followed here.

public import RouterKit

/// The answers of the learned rule sources.
public struct RuleBook: Hashable, Sendable {
  /// What a source said.
  public enum Answer: Hashable, Sendable {
    /// Its rules.
    case learned(RuleSet)
    /// Why there are none, as a sentence. A source that fails and had answered before keeps its last answer for as long
    /// as that may be used; it is then no failure.
    case failed(String)
  }

  private var answers: [RuleSource: Answer] = [:]

  /// Makes a book in which nobody has answered yet.
  public init() {}

  /// What the source itself said; nothing as long as it has not answered.
  public subscript(source: RuleSource) -> Answer? {
    get { answers[source] }
    set { answers[source] = newValue }
  }

  /// The rules of a source, with the AFTR's addresses where it gave a name; nothing as long as something is missing.
  public func answer(of source: RuleSource) -> Answer? {
    guard case .learned(var rules)? = answers[source], rules.aftrs.isEmpty, let name = rules.aftrName else {
      return answers[source]
    }
    switch answers[.aftrName(name)] {
    case .learned(let addresses)?: rules.aftrs = addresses.aftrs
    // What it says besides may do without the name.
    case let other?: if rules.rules.isEmpty, rules.fixedIPs.isEmpty { return other }
    case nil: if rules.rules.isEmpty, rules.fixedIPs.isEmpty { return nil }
    }
    return .learned(rules)
  }

  /// The sources that have to be asked for `sources` to be answered: themselves, and the names that they gave.
  public func wanted(for sources: Set<RuleSource>) -> Set<RuleSource> {
    let names = sources.compactMap { source -> RuleSource? in
      guard case .learned(let rules)? = answers[source], rules.aftrs.isEmpty else { return nil }
      return rules.aftrName.map { .aftrName($0) }
    }
    return sources.union(names).filter(\.isLearned)
  }
}
