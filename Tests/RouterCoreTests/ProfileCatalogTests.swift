// SPDX-License-Identifier: GPL-3.0-or-later
//
// Which source's rules a profile gets, and which profile `auto` takes, by what the learned sources have said.

import RouterCore
import RouterKit
import Testing

/// A profile of a MAP-E ISP, with one built-in rule.
private struct Mapped: MAPEProfile {
  let id: PluginID
  let title = "mapped"
  let table: RuleTable

  init(_ name: String = "mapped", prefix: String = "2001:db8:1000::/36") throws {
    id = try #require(PluginID(.profile, name))
    table = try RuleTable(
      parsing: Array(
        """
        routerd-rules 1
        source test made up
        rule \(prefix) 192.0.2.0/28 ea 12 offset 4 psid 8 iid draft-03 br 2001:db8:ffff::1 confidence verified from test
        """.utf8))
  }
}

/// A profile that takes AFTRs from wherever they come.
private struct Aftr: ISPProfile {
  let id: PluginID
  let title = "aftr"
  let isChosenByPrefix = false
  let isChosenByAnnouncement: Bool
  let softwireKinds: Set<SoftwireKind> = [.dsLite]
  let relaySelector: any BRSelector = PreferredOrderSelector()
  let sources: [RuleSource]

  init(_ sources: [RuleSource], isChosenByAnnouncement: Bool = false) throws {
    id = try #require(PluginID(.profile, "aftr"))
    self.sources = sources
    self.isChosenByAnnouncement = isChosenByAnnouncement
  }

  func ruleSources(_ settings: ProfileSettings) throws(ProfileError) -> [RuleSource] { sources }

  func softwire(
    for facts: LineFacts, rules: RuleSet, relay: IPv6Address?, settings: ProfileSettings
  ) throws(ProfileError) -> Softwire {
    guard let prefix = facts.prefixes.first, let aftr = rules.aftrs.first else {
      throw ProfileError(.noRelay, "no AFTR")
    }
    return .dsLite(DSLiteSoftwire(userPrefix: prefix, aftr: aftr))
  }
}

struct ProfileCatalogTests {
  private let facts: LineFacts
  private let aftr: IPv6Address

  init() throws {
    facts = LineFacts(prefixes: [try IPv6Prefix("2001:db8:1234:5600::/56")])
    aftr = try IPv6Address("2001:db8:ffff::a")
  }

  private func rule(_ prefix: String, relay: String) throws -> MappingRule {
    try MappingRule(
      ipv6Prefix: IPv6Prefix(prefix), ipv4Prefix: IPv4Prefix("198.51.100.0/24"), eaBitsLength: 16, psidOffset: 4,
      identifierFormat: .draft03, borderRelay: IPv6Address(relay))
  }

  private func relay(
    _ profile: any ISPProfile, _ book: RuleBook?, choice: ProfileChoice? = nil
  ) throws -> String {
    let catalog = ProfileCatalog([profile])
    let selection = try catalog.select(
      choice ?? .named(profile.id.name), facts: facts, settings: ProfileSettings(), book: book)
    return selection.softwire.relay.description
  }

  @Test func learnedRulesComeBeforeTheTable() throws {
    var book = RuleBook()
    #expect(try relay(Mapped(), book) == "2001:db8:ffff::1", "the table serves while nobody has answered")
    book[.dhcpv6S46] = .learned(RuleSet(rules: [try rule("2001:db8:1200::/40", relay: "2001:db8:ffff::2")]))
    #expect(try relay(Mapped(), book) == "2001:db8:ffff::2")
    #expect(try relay(Mapped(), nil) == "2001:db8:ffff::1")
  }

  /// A relay of rules that are for another line swallows every packet.
  @Test func learnedRulesThatDoNotMatchArePassedOver() throws {
    var book = RuleBook()
    book[.dhcpv6S46] = .learned(RuleSet(rules: [try rule("2001:db8:9900::/40", relay: "2001:db8:ffff::2")]))
    #expect(try relay(Mapped(), book) == "2001:db8:ffff::1")
    book[.dhcpv6S46] = .failed("no answer")
    #expect(try relay(Mapped(), book) == "2001:db8:ffff::1")
  }

  @Test func aNameThatASourceGaveIsResolvedByAnother() throws {
    let profile = try Aftr([.dhcpv6AFTR, .lastResortAFTRs([IPv6Address("2001:db8:ffff::bad")])])
    var book = RuleBook()
    func awaited() throws {
      let error = #expect(throws: SelectionError.self) { try relay(profile, book) }
      #expect(error?.isAnswerAwaited == true)
    }
    try awaited()
    book[.dhcpv6AFTR] = .learned(RuleSet(aftrName: "aftr.example.net"))
    #expect(book.wanted(for: [.dhcpv6AFTR]) == [.dhcpv6AFTR, .aftrName("aftr.example.net")])
    try awaited()
    book[.aftrName("aftr.example.net")] = .learned(RuleSet(aftrs: [aftr]))
    #expect(try relay(profile, book) == aftr.description)
    book[.aftrName("aftr.example.net")] = .failed("NXDOMAIN")
    #expect(try relay(profile, book) == "2001:db8:ffff::bad", "the last resort, when all others have failed")
  }

  @Test func failedSourcesAreNamed() throws {
    var book = RuleBook()
    book[.dhcpv6AFTR] = .failed("the server sends no option 64")
    let error = #expect(throws: SelectionError.self) { try relay(Aftr([.dhcpv6AFTR]), book) }
    #expect(error?.description.contains("the server sends no option 64") == true)
    #expect(error?.isAnswerAwaited == false)
  }

  @Test func whatTheLineAnnouncesCountsOnlyWhereNoPrefixIsKnown() throws {
    var book = RuleBook()
    book[.dhcpv6AFTR] = .learned(RuleSet(aftrs: [aftr]))
    let announced = try Aftr([.dhcpv6AFTR], isChosenByAnnouncement: true)
    func select(_ mapped: any ISPProfile, _ book: RuleBook?) throws -> String {
      let catalog = ProfileCatalog([announced, mapped])
      return try catalog.select(.automatic, facts: facts, settings: ProfileSettings(), book: book).profile.id.name
    }
    let stranger = try Mapped("stranger", prefix: "2001:db8:f000::/36")
    #expect(try select(Mapped(), book) == "mapped")
    #expect(try select(stranger, book) == "aftr")
    let waiting = #expect(throws: SelectionError.self) { try select(stranger, RuleBook()) }
    #expect(waiting?.isAnswerAwaited == true)
    book[.dhcpv6AFTR] = .failed("silence")
    let refused = #expect(throws: SelectionError.self) { try select(stranger, book) }
    #expect(refused?.isMismatch == true)
    let unasked = #expect(throws: SelectionError.self) { try select(stranger, nil) }
    #expect(unasked?.isMismatch == true)
  }

  @Test func aKindThatTheProfileCannotMakeIsPassedOver() throws {
    var book = RuleBook()
    book[.hb46pp] = .learned(RuleSet(rules: [try rule("2001:db8:1200::/40", relay: "2001:db8:ffff::2")]))
    book[.dhcpv6AFTR] = .learned(RuleSet(aftrs: [aftr]))
    #expect(try relay(Aftr([.hb46pp, .dhcpv6AFTR]), book) == aftr.description)
  }

  @Test func onlySourcesOfTheChoiceAreAsked() throws {
    let catalog = ProfileCatalog([try Mapped(), try Aftr([.hb46pp, .aftrName("aftr.example.net")])])
    let settings = ProfileSettings()
    #expect(catalog.learnedSources(.automatic, settings: settings) == [.dhcpv6S46])
    #expect(catalog.learnedSources(.named("aftr"), settings: settings) == [.hb46pp, .aftrName("aftr.example.net")])
  }
}
