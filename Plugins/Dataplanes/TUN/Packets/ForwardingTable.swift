// SPDX-License-Identifier: GPL-3.0-or-later
//
// The forwarding mapping rules, ordered for looking up one address per packet: a table for each prefix length that
// occurs, longest first. A provider has thousands of rules and three or four lengths.

import RouterKit

/// Forwarding mapping rules by IPv4 prefix.
struct ForwardingTable: Hashable, Sendable {
  private struct Level: Hashable {
    let mask: UInt32
    var rules: [UInt32: MappingRule]
  }

  private var levels: [Level] = []

  /// Makes a table; of several rules with one IPv4 prefix the first one counts.
  init(_ rules: [MappingRule]) {
    for (length, rules) in Dictionary(grouping: rules, by: \.ipv4Prefix.length).sorted(by: { $0.key > $1.key }) {
      let mask: UInt32 = length == 0 ? 0 : ~0 << UInt32(32 - length)
      let byPrefix = Dictionary(rules.map { ($0.ipv4Prefix.address.bits, $0) }, uniquingKeysWith: { first, _ in first })
      levels.append(Level(mask: mask, rules: byPrefix))
    }
  }

  /// Whether there is no rule: everything goes by the relay.
  var isEmpty: Bool { levels.isEmpty }

  /// The longest rule that holds `address`.
  func rule(for address: IPv4Address) -> MappingRule? {
    for level in levels {
      if let rule = level.rules[address.bits & level.mask] { return rule }
    }
    return nil
  }

  /// The CE address of whoever has `port` of `address`; nothing if no rule says.
  func ceAddress(for address: IPv4Address, port: UInt16) -> IPv6Address? {
    rule(for: address)?.ceAddress(for: address, port: port)
  }
}
