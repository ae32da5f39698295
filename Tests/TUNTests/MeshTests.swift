// SPDX-License-Identifier: GPL-3.0-or-later
//
// How subscribers are told apart: ports and rules.

import RouterKit
import Testing

@testable import TUN

@Suite struct InnerPortsTests {
  private let remote = IPv4Address(198, 51, 100, 1)

  private func ports(_ bytes: [UInt8]) throws -> [UInt16]? {
    let header = try IPv4Header(bytes.span.bytes)
    return InnerPorts(bytes.span.bytes, header).map { [$0.source, $0.destination] }
  }

  @Test func readsTransportPorts() throws {
    #expect(try ports(PacketBuilder.udp(Line.ipv4, 5136, remote, 53).bytes) == [5136, 53])
    #expect(try ports(PacketBuilder.tcp(Line.ipv4, 5137, remote, 443).bytes) == [5137, 443])
    var builder = PacketBuilder.udp(Line.ipv4, 5136, remote, 53)
    builder.options = Array(repeating: 1, count: 40)
    #expect(try ports(builder.bytes) == [5136, 53])
    builder.hasMoreFragments = true
    #expect(try ports(builder.bytes) == [5136, 53])
    builder.fragmentOffset = 8
    #expect(try ports(builder.bytes) == nil)
    builder = .udp()
    builder.payload = Array(builder.payload.prefix(7))
    #expect(try ports(builder.bytes) == nil)
    builder.protocolNumber = 50
    #expect(try ports(builder.bytes) == nil)
  }

  @Test func readsQueryIdentifiers() throws {
    for type: UInt8 in [0, 8, 13, 14] {
      #expect(try ports(PacketBuilder.icmp(Line.ipv4, remote, type: type, rest: [5140, 1]).bytes) == [5140, 5140])
    }
    #expect(try ports(PacketBuilder.icmp(Line.ipv4, remote, type: 9).bytes) == nil)
  }

  @Test func readsWhatErrorsQuoteTheOtherWayRound() throws {
    let quote = Array(PacketBuilder.udp(remote, 53, Line.ipv4, 5136, data: [1, 2, 3]).bytes.prefix(28))
    for type: UInt8 in [3, 4, 5, 11, 12] {
      #expect(try ports(PacketBuilder.icmp(Line.ipv4, remote, type: type, data: quote).bytes) == [5136, 53])
    }
    let short = PacketBuilder.icmp(Line.ipv4, remote, type: 3, data: Array(quote.prefix(27)))
    #expect(try ports(short.bytes) == nil)
    let query = PacketBuilder.icmp(remote, Line.ipv4, type: 8, rest: [5150, 0]).bytes
    #expect(try ports(PacketBuilder.icmp(Line.ipv4, remote, type: 11, data: query).bytes) == [5150, 5150])
    // An error about an error.
    let error = PacketBuilder.icmp(remote, Line.ipv4, type: 3, data: quote).bytes
    #expect(try ports(PacketBuilder.icmp(Line.ipv4, remote, type: 3, data: error).bytes) == nil)
  }
}

@Suite struct ForwardingTableTests {
  @Test func theLongestRuleCounts() throws {
    let wide = try Line.rule()
    let narrow = try MappingRule(
      ipv6Prefix: IPv6Prefix("2001:db8::/32"), ipv4Prefix: IPv4Prefix("133.209.13.0/24"), eaBitsLength: 16,
      psidOffset: 4, identifierFormat: .rfc7597)
    for rules in [[wide, narrow], [narrow, wide]] {
      let table = ForwardingTable(rules)
      #expect(table.rule(for: IPv4Address(133, 209, 13, 255)) == narrow)
      #expect(table.rule(for: IPv4Address(133, 209, 12, 0)) == wide)
      #expect(table.rule(for: IPv4Address(133, 209, 16, 0)) == nil)
    }
    #expect(ForwardingTable([]).isEmpty)
  }

  @Test func findsSubscribersByPort() throws {
    let table = ForwardingTable([try Line.rule()])
    #expect(table.ceAddress(for: Line.ipv4, port: 5152) == (try Line.neighbour()))
    #expect(table.ceAddress(for: IPv4Address(133, 209, 13, 3), port: 62495) == (try Line.subscriber()))
    #expect(table.ceAddress(for: Line.ipv4, port: 4095) == nil)
    #expect(table.ceAddress(for: IPv4Address(198, 51, 100, 1), port: 5152) == nil)
  }
}
