// SPDX-License-Identifier: GPL-3.0-or-later
//
// Mapping rules beyond the golden vectors: what is refused, and that both directions agree.

import RouterKit
import Testing

struct MappingRuleTests {
  private func rule(
    _ ipv6: String = "2001:db8::/40", _ ipv4: String = "192.0.2.0/24", ea: Int = 16, offset: Int = 6, psid: Int? = nil,
    explicit: UInt16? = nil, format: InterfaceIdentifierFormat = .draft03
  ) throws -> MappingRule {
    try MappingRule(
      ipv6Prefix: IPv6Prefix(ipv6), ipv4Prefix: IPv4Prefix(ipv4), eaBitsLength: ea, psidOffset: offset,
      psidLength: psid,
      explicitPSID: explicit, identifierFormat: format)
  }

  @Test func refusesNumbersThatDoNotFit() {
    #expect(throws: MappingRuleError.self) { try rule(ea: 49) }
    #expect(throws: MappingRuleError.self) { try rule(ea: -1) }
    #expect(throws: MappingRuleError.self) { try rule(ea: 32) }
    #expect(throws: MappingRuleError.self) { try rule(offset: 16) }
    #expect(throws: MappingRuleError.self) { try rule(offset: 9) }
    #expect(throws: MappingRuleError.self) { try rule(psid: 12) }
    #expect(throws: MappingRuleError.self) { try rule("2001:db8:0:0::/60", ea: 16) }
    #expect(throws: MappingRuleError.self) { try rule(ea: 0, psid: 8) }
    #expect(throws: MappingRuleError.self) { try rule(ea: 0, psid: 8, explicit: 256) }
    #expect(throws: MappingRuleError.self) { try rule(explicit: 1) }
  }

  @Test func thePSIDLengthFollowsFromTheRest() throws {
    #expect(try rule().psidLength == 8)
    #expect(try rule(ea: 8).psidLength == 0)
    #expect(try rule().userPrefixLength == 56)
  }

  @Test func aPSIDCanComeWithoutEABits() throws {
    let parameters = try rule("2001:db8:0:1200::/56", "192.0.2.7/32", ea: 0, offset: 4, psid: 8, explicit: 65)
      .parameters(for: IPv6Prefix("2001:db8:0:1200::/56"))
    #expect(parameters.psid == 65)
    #expect(parameters.portSet?.blocks.first == 5136...5151)
  }

  @Test func fewerEABitsThanAddressBitsGiveAPrefixOfAddresses() throws {
    let parameters = try rule("2001:db8::/48", "198.51.0.0/16", ea: 8, offset: 0)
      .parameters(for: IPv6Prefix("2001:db8:0:aa00::/56"))
    #expect(parameters.ipv4Address.description == "198.51.170.0")
    #expect(parameters.portSet == nil)
  }

  @Test func refusesPrefixesThatAreNotItsOwnOrTooShort() throws {
    let rule = try rule()
    #expect(throws: MappingRuleError.self) { try rule.parameters(for: IPv6Prefix("2001:db9::/56")) }
    let error = try #require(throws: MappingRuleError.self) { try rule.parameters(for: IPv6Prefix("2001:db8::/48")) }
    #expect(error.description.contains("56"))
  }

  @Test func knowsWhoseSubnetTheCEAddressIsIn() throws {
    let rule = try rule()
    let owned = ["2001:db8:12:3400::/56", "2001:db8:12:3400::/60", "2001:db8:12:3400::/64", "2001:db8:12:3400::1/128"]
    for text in owned { #expect(try rule.parameters(for: IPv6Prefix(text)).ownsCESubnet, "\(text)") }
    for text in ["2001:db8:12:3410::/60", "2001:db8:12:3401::/64", "2001:db8:12:3401::1/128"] {
      #expect(try !rule.parameters(for: IPv6Prefix(text)).ownsCESubnet, "\(text)")
    }
  }

  @Test func theForwardingRuleIsTheInverse() throws {
    for (ea, offset) in [(16, 4), (16, 6), (12, 0), (8, 4), (24, 0)] {
      let rule = try rule(ea: ea, offset: offset)
      for _ in 0..<500 {
        let suffix = UInt128.random(in: 0..<(1 << UInt128(ea))) << UInt128(128 - rule.userPrefixLength)
        let user = IPv6Prefix(
          of: IPv6Address(bits: rule.ipv6Prefix.address.bits | suffix), length: rule.userPrefixLength)
        let parameters = try rule.parameters(for: user)
        for port in parameters.portSet?.ports.prefix(5) ?? [80] {
          #expect(rule.ceAddress(for: parameters.ipv4Address, port: port) == parameters.ceAddress)
        }
      }
    }
  }

  @Test func portsOfNobodyAndForeignAddressesGoToTheRelay() throws {
    let rule = try rule()
    #expect(try rule.ceAddress(for: IPv4Address("192.0.2.1"), port: 1023) == nil)
    #expect(try rule.ceAddress(for: IPv4Address("192.0.3.1"), port: 5000) == nil)
  }
}
