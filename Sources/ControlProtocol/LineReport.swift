// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the daemon has heard of the line, and what its rule sources said.

/// What routerd itself has heard of the line.
public struct LineReport: Codable, Hashable, Sendable {
  /// Who runs the line: "observe" or "manage".
  public var mode: String
  /// The routers that advertise themselves, best one first.
  public var routers: [String]
  /// The prefixes that the line gives.
  public var prefixes: [LinePrefixReport]
  /// The line's resolvers.
  public var resolvers: [String]
  /// The MTU that the routers announce, in bytes.
  public var mtu: Int?

  /// Makes a report.
  public init(mode: String, routers: [String], prefixes: [LinePrefixReport], resolvers: [String], mtu: Int?) {
    self.mode = mode
    self.routers = routers
    self.prefixes = prefixes
    self.resolvers = resolvers
    self.mtu = mtu
  }
}

/// A prefix that the line gives.
public struct LinePrefixReport: Codable, Hashable, Sendable {
  /// The prefix.
  public var prefix: String
  /// "delegated" or "advertised".
  public var origin: String
  /// Whether new connections may use it.
  public var isPreferred: Bool

  /// Makes a report.
  public init(prefix: String, origin: String, isPreferred: Bool) {
    self.prefix = prefix
    self.origin = origin
    self.isPreferred = isPreferred
  }
}

/// A rule source that has to be asked.
public struct SourceReport: Codable, Hashable, Sendable {
  /// What came of asking.
  public enum State: String, Codable, Hashable, Sendable {
    /// It gave rules, relays or contracts.
    case answered
    /// It has not answered yet.
    case awaited
    /// It has nothing, or cannot be asked.
    case failed
  }

  /// Its name.
  public var name: String
  /// What came of asking.
  public var state: State
  /// How many rules, relays and contracts it gave.
  public var rules: Int?
  /// Why it failed, as a sentence.
  public var reason: String?

  /// Makes a report.
  public init(name: String, state: State, rules: Int? = nil, reason: String? = nil) {
    self.name = name
    self.state = state
    self.rules = rules
    self.reason = reason
  }
}
