// SPDX-License-Identifier: GPL-3.0-or-later
//
// An nftables table as a value: what is wanted and what the kernel has are the same type, so that "nothing to do" is
// plain equality. Two tables are equal when they do the same; whatever has no meaning (the order of chains, sets and
// elements, handles, the readings of counters) is either sorted away or not part of the value.

/// A table of the family `inet`.
public struct Table: Hashable, Sendable {
  /// The table's name.
  public let name: String
  /// What a reader of `nft list ruleset` is told about the table, at most 126 bytes.
  public let comment: String?
  /// The named counters. Their readings are not part of the table: see ``NFTablesSocket/counters(table:)``.
  public let counters: Set<String>
  /// The named timeouts of connections, by name.
  public let timeouts: [String: ConnectionTimeouts]
  /// The named sets and maps, sorted by name.
  public let sets: [NamedSet]
  /// The chains: those with a hook in the order in which packets meet them, then the others by name.
  public let chains: [Chain]
  /// Flags of the kernel (`NFT_TABLE_F_…`), of which one puts a table to sleep. What routerd makes has none.
  let flags: UInt32

  /// Makes a table; counters, sets and chains may come in any order.
  public init(
    name: String, comment: String? = nil, counters: Set<String> = [], timeouts: [String: ConnectionTimeouts] = [:],
    sets: [NamedSet] = [], chains: [Chain] = []
  ) {
    self.init(
      name: name, comment: comment, counters: counters, timeouts: timeouts, sets: sets, chains: chains, flags: 0)
  }

  init(
    name: String, comment: String?, counters: Set<String>, timeouts: [String: ConnectionTimeouts], sets: [NamedSet],
    chains: [Chain], flags: UInt32
  ) {
    self.name = name
    self.comment = comment
    self.counters = counters
    self.timeouts = timeouts
    self.sets = sets.sorted { $0.name < $1.name }
    self.chains = chains.sorted { $0.sortKey < $1.sortKey }
    self.flags = flags
  }
}

/// A chain and its rules.
public struct Chain: Hashable, Sendable {
  /// The chain's name, unique in its table.
  public let name: String
  /// Where packets enter the chain, or nothing for a chain that only rules lead to.
  public let base: BaseChain?
  /// The rules in the order of evaluation.
  public var rules: [Rule]

  /// Makes a chain.
  public init(name: String, base: BaseChain? = nil, rules: [Rule]) {
    self.name = name
    self.base = base
    self.rules = rules
  }

  fileprivate var sortKey: (UInt32, Int32, String) {
    (base?.hook.rawValue ?? .max, base?.priority ?? .max, name)
  }
}

/// What makes a chain the entry for packets.
public struct BaseChain: Hashable, Sendable {
  /// The points at which the kernel shows packets. The numbers are the kernel's (`NF_INET_…`).
  public enum Hook: UInt32, Sendable {
    case prerouting = 0
    case input, forward, output, postrouting
  }

  /// The kinds of chain that exist in the family `inet`.
  public enum Kind: String, Sendable {
    case filter, nat, route
  }

  /// The point at which packets enter.
  public let hook: Hook
  /// The place among all chains of that hook, lowest first: −400 is defragmentation, −200 connection tracking, −100
  /// destination NAT, 0 filter, 100 source NAT.
  public let priority: Int32
  /// The kind of chain.
  public let kind: Kind
  /// Whether packets that no rule decides on are dropped instead of accepted.
  public let dropsByDefault: Bool

  /// Makes the entry; packets that no rule decides on are accepted unless `dropsByDefault` says otherwise.
  public init(hook: Hook, priority: Int32, kind: Kind = .filter, dropsByDefault: Bool = false) {
    self.hook = hook
    self.priority = priority
    self.kind = kind
    self.dropsByDefault = dropsByDefault
  }
}

/// A rule: expressions that are evaluated from left to right until one does not match.
public struct Rule: Hashable, Sendable {
  /// The expressions.
  public let expressions: [Expression]
  /// What a reader of `nft list ruleset` is told about the rule, at most 126 bytes.
  public let comment: String?

  /// Makes a rule.
  public init(_ expressions: [Expression], comment: String? = nil) {
    self.expressions = expressions
    self.comment = comment
  }
}
