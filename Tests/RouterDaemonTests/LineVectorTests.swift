// SPDX-License-Identifier: GPL-3.0-or-later
//
// The golden vectors of real lines, through the loaded plugins and their tables: what four independent implementations
// agree on, the gaps in which no rule may match, and mesh.

import FoundationEssentials
import RouterCore
import RouterDaemon
import RouterKit
import TestSupport
import Testing

struct LineVectorTests {
  private struct Vectors: Decodable {
    let vectors: [Line]
    let fmr_vectors: Mesh

    struct Line: Decodable {
      let isp: String
      let user_prefix: String
      let tag: String
      let expect: Expectation?
    }

    struct Expectation: Decodable {
      let ipv4: String?
      let psid: Int?
      let ce: String?
      let br: String?
      let port_ranges: [[Int]]?
      let ports: Int?
    }

    struct Mesh: Decodable {
      let items: [Item]
    }

    struct Item: Decodable {
      let isp: String
      let dst_ipv4: String
      let dst_port: UInt16
      let ce: String?
    }
  }

  private let catalog = ProfileCatalog(BuildFolder.plugins.profiles)

  private func vectors() throws -> Vectors {
    try JSONDecoder().decode(Vectors.self, from: Data(Fixture.bytes("Tests/Fixtures/vectors.json")))
  }

  private func select(_ prefix: String, unconfirmed: Bool = true, profile: ProfileChoice = .automatic) throws
    -> Selection
  {
    try catalog.select(
      profile, facts: LineFacts(prefixes: [try LinePrefix.parse(prefix)]),
      settings: ProfileSettings(usesUnconfirmedRules: unconfirmed))
  }

  @Test func everyLineGetsWhatIndependentImplementationsGiveIt() throws {
    let lines = try vectors().vectors
    #expect(lines.count == 108)
    for line in lines {
      guard let expected = line.expect, let ce = expected.ce else {
        #expect(throws: SelectionError.self, "\(line.tag)") { try select(line.user_prefix) }
        continue
      }
      let selection = try select(line.user_prefix)
      guard case .mapE(let softwire) = selection.softwire else {
        Issue.record("\(line.tag): no MAP-E")
        continue
      }
      #expect(selection.profile.id.name == line.isp, "\(line.tag)")
      #expect(softwire.parameters.ceAddress.description == ce, "\(line.tag)")
      #expect(softwire.parameters.ipv4Address.description == expected.ipv4, "\(line.tag)")
      #expect(Int(softwire.parameters.psid) == expected.psid, "\(line.tag)")
      #expect(softwire.borderRelay.description == expected.br, "\(line.tag)")
      let set = try #require(softwire.parameters.portSet)
      #expect(set.blocks.map { [Int($0.lowerBound), Int($0.upperBound)] } == expected.port_ranges, "\(line.tag)")
      #expect(set.count == expected.ports, "\(line.tag)")
    }
  }

  @Test func meshFindsTheSubscriberBehindAddressAndPort() throws {
    let tables = catalog.profiles.reduce(into: [String: [MappingRule]]()) { tables, profile in
      for case .staticTable(let table) in (try? profile.ruleSources(ProfileSettings())) ?? [] {
        tables[profile.id.name] = table.rules(includingUnconfirmed: true)
      }
    }
    for item in try vectors().fmr_vectors.items {
      let rules = try #require(tables[item.isp])
      let address = try IPv4Address(item.dst_ipv4)
      let found = rules.lazy.compactMap { $0.ceAddress(for: address, port: item.dst_port) }.first
      #expect(found?.description == item.ce, "\(item.dst_ipv4):\(item.dst_port)")
    }
  }

  @Test func unconfirmedRulesAreOffByDefault() throws {
    let error = try #require(throws: SelectionError.self) { try select("240d:f:4000:100::/56", unconfirmed: false) }
    #expect(error.isMismatch && error.description.contains("unconfirmed = true"), "\(error)")
    #expect(try select("240d:f:4000:100::/56").softwire.ipv4Address.description == "219.104.192.0")
  }

  /// Entries of public tables that are wrong, and what is right in their place.
  @Test func theKnownBadEntriesOfPublicTablesAreNotHere() throws {
    #expect(try select("240d:f:a2c:6300::/56").softwire.ipv4Address.description == "219.104.138.44")
    #expect(try select("240d:f:d01:6300::/56").softwire.ipv4Address.description == "219.104.141.1")
    #expect(try select("2404:7a82:4d02:4100::/56").softwire.relay.description == "2001:260:700:1::1:275")
    for west in ["2404:7a84::/56", "2404:7a86:fc00::/56", "2404:7a87:3ff:ff00::/56"] {
      #expect(try select(west).softwire.relay.description == "2001:260:700:1::1:276", "\(west)")
    }
    guard case .mapE(let ocn) = try select("2400:4050:1234:5600::/56").softwire else {
      Issue.record("no MAP-E")
      return
    }
    #expect(ocn.parameters.rule.psidLength == 6)
    #expect(ocn.parameters.portSet?.blocks.allSatisfy { $0.lowerBound >= 1024 } == true)
    // The labels of two DS-Lite services are swapped in a public plugin.
    let dslite = try catalog.profile(named: "dslite")
    let sources = try dslite.ruleSources(ProfileSettings(aftr: "transix"))
    #expect(
      sources.contains {
        if case .lastResortAFTRs(let list) = $0 { list.first?.description == "2404:8e00::feed:100" } else { false }
      })
  }

  @Test func bothRelaysOfBIGLOBEAreAllowedAndOneOfTheOthers() throws {
    #expect(
      try select("2404:7a82:4d02:4100::/56").softwire.allowedRelays.map(\.description)
        == ["2001:260:700:1::1:275", "2001:260:700:1::1:276"])
    for prefix in ["2400:4050:1234:5600::/56", "240d:f:a2c:6300::/56", "240b:10:1234:5600::/56"] {
      #expect(try select(prefix).softwire.allowedRelays.count == 1)
    }
  }

  @Test func aRelayIsTakenOnlyWithARuleThatMatches() throws {
    let error = try #require(throws: SelectionError.self) {
      try select("2404:7a82:4d02:4100::/56", profile: .named("v6plus"))
    }
    #expect(error.isMismatch)
  }

  @Test func dsLiteIsNeverGuessed() throws {
    let error = try #require(throws: SelectionError.self) { try select("2409:10::/56") }
    #expect(error.description.contains("routerd profile set dslite"), "\(error)")
  }

  @Test func aLineWithNativeIPv4IsExplained() throws {
    let error = try #require(throws: SelectionError.self) { try select("240d:1a:1:2300::/56", unconfirmed: false) }
    #expect(error.description.contains("native IPv4") && error.description.contains("240d:f::/36"), "\(error)")
  }

  /// The one that comes later in the order is on its way out, however long its rule is.
  @Test func automaticGoesByTheOrderOfThePrefixes() throws {
    let prefixes = try ["240d:f:a2c:6300::/64", "2404:7a82:4d02:4100::/64"].map { try IPv6Prefix($0) }
    let nuro = try catalog.select(.automatic, facts: LineFacts(prefixes: prefixes), settings: ProfileSettings())
    #expect(nuro.profile.id.name == "nuro")
    let biglobe = try catalog.select(
      .automatic, facts: LineFacts(prefixes: prefixes.reversed()), settings: ProfileSettings())
    #expect(biglobe.profile.id.name == "biglobe")
    let unknown = try IPv6Prefix("2001:db8::/64")
    let other = try catalog.select(
      .automatic, facts: LineFacts(prefixes: [unknown] + prefixes), settings: ProfileSettings())
    #expect(other.profile.id.name == "nuro")
  }

  @Test(arguments: [
    ("transix", "2404:8e00::feed:100"), ("xpass", "2001:f60:0:200::1:1"), ("v6connect", "2001:c28:5:301::11"),
    ("2001:db8::aa", "2001:db8::aa"),
  ])
  func dsLiteTakesServicesAndAddresses(aftr: String, relay: String) throws {
    let selection = try catalog.select(
      .named("dslite"), facts: LineFacts(prefixes: [try IPv6Prefix("2409:10:1:2300::/56")]),
      settings: ProfileSettings(aftr: aftr))
    #expect(selection.softwire.relay.description == relay)
    #expect(selection.softwire.localAddress.description == "2409:10:1:2300::c000:2")
  }

  @Test(arguments: [(nil, "set aftr"), ("2001:db8:::1", "no IPv6 address"), ("aftr.example.net", "aftr.example.net")])
  func dsLiteExplainsWhatItNeeds(aftr: String?, expected: String) throws {
    let error = try #require(throws: SelectionError.self) {
      try catalog.select(
        .named("dslite"), facts: LineFacts(prefixes: [try IPv6Prefix("2409:10:1:2300::/56")]),
        settings: ProfileSettings(aftr: aftr))
    }
    #expect(error.description.contains(expected), "\(error)")
  }

  @Test func theTablesDoNotOverlap() throws {
    var rules: [MappingRule] = []
    for profile in catalog.profiles {
      for case .staticTable(let table) in (try? profile.ruleSources(ProfileSettings())) ?? [] {
        rules += table.rules(includingUnconfirmed: true)
      }
    }
    #expect(rules.count == 440)
    let ipv6 = rules.map(\.ipv6Prefix).sorted()
    let ipv4 = rules.map(\.ipv4Prefix).sorted()
    for (a, b) in zip(ipv6, ipv6.dropFirst()) { #expect(!a.contains(b), "\(a) \(b)") }
    for (a, b) in zip(ipv4, ipv4.dropFirst()) { #expect(!a.contains(b), "\(a) \(b)") }
    #expect(rules.allSatisfy { $0.userPrefixLength == 56 && $0.identifierFormat == .draft03 })
  }
}
