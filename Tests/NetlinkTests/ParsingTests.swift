// SPDX-License-Identifier: GPL-3.0-or-later
//
// From bytes to links, addresses and routes, above all from bytes that are not what they should be.

import RouterKit
import Testing

@testable import Netlink

@Suite struct ParsingTests {
  private static func only(_ datagram: [UInt8]) throws -> Message {
    let messages = try #require(Message.messages(in: datagram))
    try #require(messages.count == 1)
    return messages[0]
  }

  @Test func aLink() throws {
    let link = Link(try Self.only(Fixture.link))
    #expect(
      link
        == Link(
          index: 7, name: "wan0", kind: "veth", alias: "uplink", isUp: true, hasCarrier: true, mtu: 1500,
          hardwareAddress: [2, 0, 0x5e, 0, 0x53, 1],
          ipv4Settings: [
            .forwarding: 1, .acceptRedirects: 1, .sendRedirects: 0, .reversePathFilter: 2, .acceptSourceRoute: 0,
          ]))
  }

  @Test func anAddress() throws {
    let address = try #require(InterfaceAddress<IPv6Address>(try Self.only(Fixture.address)))
    #expect(
      address
        == InterfaceAddress(
          interfaceIndex: 7, address: try IPv6Address("2404:7a82:4d02:4100:85:d10d:200:4100"),
          flags: [.tentative, .deprecated, .permanent, .noPrefixRoute], preferredLifetime: .seconds(0)))
    #expect(address.protocol == .routerd)
    #expect(InterfaceAddress<IPv4Address>(try Self.only(Fixture.address)) == nil)
  }

  @Test func aRoute() throws {
    let route = try #require(Route<IPv4Address>(try Self.only(Fixture.route)))
    #expect(
      route
        == Route(
          destination: try IPv4Prefix("198.51.100.0/24"), gateway: IPv4Address(192, 0, 2, 1), interfaceIndex: 7,
          metric: 50, preferredSource: IPv4Address(192, 0, 2, 7), mtu: 1460))
    #expect(Route<IPv6Address>(try Self.only(Fixture.route)) == nil)
  }

  @Test func theOldByteOfFlagsServesWhereTheAttributeIsMissing() throws {
    let address = try #require(
      InterfaceAddress<IPv4Address>(
        try Self.only(message(type: 20, hex("02 18 80 fd 03000000  0800 0200 c0000207")))))
    #expect(address.flags == .permanent)
    #expect(address.scope == .link)
    #expect(address.validLifetime == .forever)
    #expect(address.protocol == .unspecified)
  }

  @Test func ourEndOfAPointToPointLinkIsTheAddress() throws {
    let payload = hex("02 20 80 00 03000000  0800 0100 c0000201  0800 0200 c0000207")
    let address = try #require(InterfaceAddress<IPv4Address>(try Self.only(message(type: 20, payload))))
    #expect(address.address == IPv4Address(192, 0, 2, 7))
  }

  @Test(
    arguments: [
      ("no name", 16, "00 00 0100 07000000 43000000 00000000"),
      ("index 0", 16, "00 00 0100 00000000 43000000 00000000  0800 0300 61626300"),
      ("a negative index", 16, "00 00 0100 ffffffff 43000000 00000000  0800 0300 61626300"),
      ("a short header", 16, "00 00 0100 07000000"),
      ("a removal", 17, "00 00 0100 07000000 43000000 00000000  0800 0300 61626300"),
      ("an address of three bytes", 20, "02 18 80 00 03000000  0700 0200 c00002 00"),
      ("an address of five bytes", 20, "02 18 80 00 03000000  0900 0200 c000020001 000000"),
      ("no address", 20, "02 18 80 00 03000000"),
      ("a short address header", 20, "02 18 80"),
      ("a route with a length but no destination", 24, "02 18 00 00 fe 85 00 01 00000000"),
      ("a route length beyond the family", 24, "02 21 00 00 fe 85 00 01 00000000  0800 0100 c6336400"),
      ("a destination of the other family", 24, "02 18 00 00 fe 85 00 01 00000000  1400 0100 \(zeros)"),
      ("a cached route", 24, "02 20 00 00 fe 85 00 01 00020000  0800 0100 c6336401"),
      ("nothing at all", 24, ""),
    ] as [(String, UInt16, String)])
  func whatLacksTheEssentialsIsNothing(what: String, type: UInt16, payload: String) throws {
    let message = try Self.only(message(type: type, hex(payload)))
    #expect(Link(message) == nil)
    #expect(InterfaceAddress<IPv4Address>(message) == nil)
    #expect(Route<IPv4Address>(message) == nil)
  }

  private static let zeros = "00000000 00000000 00000000 00000000"

  @Test(arguments: [
    ("a length of zero", "0000 0400"),
    ("a length shorter than the header", "0300 0400"),
    ("a length behind the end", "ffff 0400 dc050000"),
    ("half a header", "0800"),
  ])
  func aBrokenAttributeEndsTheAttributesButKeepsThoseBefore(what: String, rest: String) throws {
    let head = hex("00 00 0100 07000000 01000000 00000000  0800 0300 61626300")
    let link = try #require(Link(try Self.only(message(type: 16, head + hex(rest)))))
    #expect(link.name == "abc")
    #expect(link.mtu == 0)
    #expect(link.isUp && !link.hasCarrier)
  }

  @Test func textsMayLackTheirZeroAndBeNoUTF8() throws {
    let payload = hex(
      """
      00 00 0100 07000000 01000000 00000000
      0700 0300 616263 00        # IFLA_IFNAME "abc" without its zero
      0700 1400 61fe62 00        # IFLA_IFALIAS with a byte that UTF-8 has not
      0400 1280                  # IFLA_LINKINFO, empty
      0600 0400 dc05 0000        # IFLA_MTU of two bytes
      0800 1a80 0400 0280        # IFLA_AF_SPEC with an empty AF_INET
      """)
    let link = try #require(Link(try Self.only(message(type: 16, payload))))
    #expect(link.name == "abc")
    #expect(link.alias == "a\u{fffd}b")
    #expect(link.kind == nil)
    #expect(link.mtu == 0)
    #expect(link.ipv4Settings.isEmpty)
  }

  @Test func aDatagramIsWholeOrNothing() throws {
    let datagram = Fixture.link + Fixture.route + Fixture.done()
    #expect(Message.messages(in: datagram)?.map(\.type) == [16, 24, 3])
    #expect(Message.messages(in: []) == [])
    let borders = [0, Fixture.link.count, Fixture.link.count + Fixture.route.count, datagram.count]
    for length in 0...datagram.count {
      #expect((Message.messages(in: Array(datagram.prefix(length))) != nil) == borders.contains(length), "\(length)")
    }
  }

  @Test(arguments: [0, 1, 15, 17, 0x7fff_ffff, 0x8000_0010, 0xffff_ffff] as [UInt32])
  func aLengthThatLiesIsNoMessage(length: UInt32) {
    var datagram = message(type: 16)
    datagram.replaceSubrange(0..<4, with: withUnsafeBytes(of: length.littleEndian) { Array($0) })
    #expect(Message.messages(in: datagram) == nil)
  }

  /// Every byte of every fixture replaced by borderline values: whatever comes out, the process lives, and what is read
  /// obeys its own rules.
  @Test(arguments: [Fixture.link, Fixture.address, Fixture.route])
  func noDamagedByteTraps(fixture: [UInt8]) {
    var read = 0
    for position in fixture.indices {
      for value in [0, 1, 3, 4, 0x7f, 0x80, 0xfe, 0xff] as [UInt8] {
        var damaged = fixture
        damaged[position] = value
        for message in Message.messages(in: damaged) ?? [] {
          if let link = Link(message) {
            read += 1
            #expect(link.index > 0)
          }
          if let route = Route<IPv4Address>(message) {
            read += 1
            #expect((0...32).contains(route.destination.length))
          }
          read += InterfaceAddress<IPv6Address>(message) == nil ? 0 : 1
          _ = InterfaceAddress<IPv4Address>(message)
          _ = Route<IPv6Address>(message)
        }
      }
    }
    // Most damage is in values and not in lengths.
    #expect(read > fixture.count * 4)
  }
}
