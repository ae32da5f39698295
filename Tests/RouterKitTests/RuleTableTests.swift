// SPDX-License-Identifier: GPL-3.0-or-later
//
// The text form of rule tables, and the search in them.

import RouterKit
import Testing

struct RuleTableTests {
  private let good = """
    routerd-rules 1
    # a comment
    source log what a device said   # with a comment behind it
    hint 2001:db8:f000::/36 These lines are for documentation.

    rule 2001:db8::/40 192.0.2.0/24 ea 16 offset 6 psid 8 iid rfc7597 br 2001:db8:ffff::1 mesh confidence verified from log
    rule 2001:db8:100::/40 198.51.100.0/24 ea 16 offset 4 iid draft-03 br 2001:db8:ffff::2 confidence unconfirmed from log
    """

  private func parse(_ text: String) throws -> RuleTable {
    try RuleTable(parsing: Array(text.utf8))
  }

  @Test func readsATable() throws {
    let table = try parse(good)
    #expect(table.entries.count == 2)
    #expect(table.rules(includingUnconfirmed: false).count == 1)
    #expect(table.rules(includingUnconfirmed: true).count == 2)
    #expect(table.entries[0].rule.isForwarding)
    #expect(table.entries[1].rule.psidLength == 8)
    #expect(table.entries[0].rule.borderRelay == (try IPv6Address("2001:db8:ffff::1")))
    #expect(table.hint(for: try IPv6Prefix("2001:db8:f123:4500::/56")) == "These lines are for documentation.")
    #expect(table.sources == ["log": "what a device said"])
  }

  @Test(arguments: [
    ("", "empty"), ("rule 1", "begins with"), ("routerd-rules 2", "begins with"), ("routerd-rules 1\nfoo", "line 2"),
    ("routerd-rules 1\nrule", "IPv6 prefix is missing"),
    ("routerd-rules 1\nrule 2001:db8::1/40 192.0.2.0/24", "bits are set"),
    // A public table had this entry; /20 does not fit the address.
    ("routerd-rules 1\nrule 240d:f:a000::/36 219.104.138.0/20 ea 20", "bits are set"),
    ("routerd-rules 1\nrule 240d:f::/36 219.104.128.0/15 ea 25 offset 4 psid 8", "bits are set"),
    ("routerd-rules 1\nrule 2001:db8::/40 192.0.2.0/24 ea x", "not a number"),
    ("routerd-rules 1\nrule 2001:db8::/40 192.0.2.0/24 ea 99999999999999999999", "not a number"),
    ("routerd-rules 1\nrule 2001:db8::/40 192.0.2.0/24 ea", "missing"),
    ("routerd-rules 1\nrule 2001:db8::/40 192.0.2.0/24 ea 16 offset 6 iid rfc7597 confidence verified", "needs"),
    (
      "routerd-rules 1\nrule 2001:db8::/40 192.0.2.0/24 ea 16 offset 4 psid 12 iid rfc7597 br ::1 confidence verified",
      "does not follow"
    ),
    (
      "routerd-rules 1\nrule 2001:db8::/40 192.0.2.0/24 ea 16 offset 6 iid rfc7597 br ::1 confidence sure", "none of"
    ),
    (
      "routerd-rules 1\nrule 2001:db8::/40 192.0.2.0/24 ea 16 offset 6 iid rfc7597 br ::1 confidence verified from x",
      "not listed"
    ),
    ("routerd-rules 1\nrule 2001:db8::/40 192.0.2.0/24 colour red", "no meaning"),
    ("routerd-rules 1\nhint 2001:db8::/40", "text"),
  ])
  func saysWhatIsWrong(text: String, expected: String) throws {
    let error = try #require(throws: RuleTableError.self) { try parse(text) }
    #expect(error.description.contains(expected), "\(error)")
  }

  @Test func survivesAnyBytes() {
    var generator = SystemRandomNumberGenerator()
    let bytes = Array(good.utf8)
    for _ in 0..<5000 {
      var damaged = bytes
      for _ in 0..<Int.random(in: 1...6) {
        damaged[Int.random(in: 0..<damaged.count)] = UInt8.random(in: 0...255, using: &generator)
      }
      _ = try? RuleTable(parsing: damaged)
    }
  }

  @Test func theLongestRuleWins() throws {
    let outer = try rule("2001:db8::/32", "198.51.0.0/16", ea: 24)
    let inner = try rule("2001:db8:100::/40", "192.0.2.0/24", ea: 16)
    let set = RuleSet(rules: [outer, inner])
    #expect(set.rule(for: try IPv6Prefix("2001:db8:112:3400::/56")) == inner)
    #expect(set.rule(for: try IPv6Prefix("2001:db8:212:3400::/56")) == outer)
    #expect(set.rule(for: try IPv6Prefix("2001:db9::/56")) == nil)
  }

  @Test func aMismatchNamesRuleAndBits() throws {
    let set = RuleSet(rules: [try rule("240d:f::/36", "219.104.128.0/20", ea: 20)])
    let text = set.mismatch(for: try IPv6Prefix("240d:1a:1::/56")).description
    #expect(text.contains("240d:f::/36") && text.contains("first 27 of its 36 bits"), "\(text)")
    #expect(text.contains("bits 27 to 35 should be 011110000 and are 110100000"), "\(text)")
    let short = set.mismatch(for: try IPv6Prefix("240d::/16")).description
    #expect(short == "240d::/16 is too short: rules like 240d:f::/36 begin inside it and need 56 bits")
    #expect(RuleSet().mismatch(for: try IPv6Prefix("2001:db8::/56")).description == "no rule matches 2001:db8::/56")
  }

  private func rule(_ ipv6: String, _ ipv4: String, ea: Int) throws -> MappingRule {
    try MappingRule(
      ipv6Prefix: IPv6Prefix(ipv6), ipv4Prefix: IPv4Prefix(ipv4), eaBitsLength: ea, psidOffset: 4,
      identifierFormat: .draft03)
  }
}
