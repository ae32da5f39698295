// SPDX-License-Identifier: GPL-3.0-or-later
//
// A MAP-E profile that is nothing but its rule table: what most ISPs need.

/// A MAP-E profile made of a rule table.
public struct RuleTableProfile: MAPEProfile {
  /// The id of the plugin.
  public let id: PluginID
  /// The name for people.
  public let title: String
  /// The built-in rules.
  public let table: RuleTable
  /// The sources that are asked before the table counts.
  public let learnedSources: [RuleSource]
  private let acceptsEveryRelay: Bool

  /// Makes a profile.
  /// - Parameters:
  ///   - learnedSources: the sources that are asked before the table counts.
  ///   - acceptsEveryRelay: whether an answer from any relay in the table is genuine, not only one from the relay of
  ///     the line's own rule.
  public init(
    id: PluginID, title: String, table: RuleTable, learnedSources: [RuleSource] = [.dhcpv6S46],
    acceptsEveryRelay: Bool = false
  ) {
    self.id = id
    self.title = title
    self.table = table
    self.learnedSources = learnedSources
    self.acceptsEveryRelay = acceptsEveryRelay
  }

  /// The relays that may carry traffic under `rule`, best one first.
  public func allowedRelays(for rule: MappingRule) -> [IPv6Address] {
    guard let own = rule.borderRelay else { return [] }
    guard acceptsEveryRelay else { return [own] }
    return [own] + Set(table.entries.compactMap(\.rule.borderRelay)).subtracting([own]).sorted()
  }
}
