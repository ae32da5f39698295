// SPDX-License-Identifier: GPL-3.0-or-later

import RouterKit
import Testing

@testable import TUN

@Suite struct HeaderTests {
  @Test func readsEveryField() throws {
    var builder = PacketBuilder.udp(data: [1, 2, 3])
    builder.typeOfService = 0xb9
    builder.forbidsFragmenting = true
    builder.options = [1, 1, 1, 1]
    let header = try IPv4Header((builder.bytes + [0, 0]).span.bytes)
    #expect(header.headerLength == 24)
    #expect(header.totalLength == 35)
    #expect(header.typeOfService == 0xb9)
    #expect(header.identification == 0x1234)
    #expect(header.forbidsFragmenting && !header.isFragment)
    #expect(header.timeToLive == 64 && header.protocolNumber == 17)
    #expect(header.source == Line.ipv4 && header.destination == IPv4Address(198, 51, 100, 1))
  }

  @Test func readsFragments() throws {
    let first = try IPv4Header(PacketBuilder(hasMoreFragments: true, payload: [0]).bytes.span.bytes)
    #expect(first.isFragment && first.fragmentOffset == 0)
    let last = try IPv4Header(PacketBuilder(fragmentOffset: 65528).bytes.span.bytes)
    #expect(last.isFragment && last.fragmentOffset == 65528 && !last.hasMoreFragments)
  }

  private func reason(_ bytes: [UInt8]) -> DropReason? {
    do throws(DropReason) {
      _ = try IPv4Header(bytes.span.bytes)
      return nil
    } catch {
      return error
    }
  }

  @Test func refusesWhatIsNoPacket() {
    let packet = PacketBuilder.udp().bytes
    #expect(reason([]) == .truncated)
    #expect(reason([0x60]) == .notIPv4)
    #expect(reason(Array(packet.prefix(19))) == .truncated)
    #expect(reason(Array(packet.dropLast())) == .truncated)
    var bytes = packet
    bytes[0] = 0x44
    #expect(reason(bytes) == .badHeader)
    bytes = packet
    bytes[0] = 0x4f
    #expect(reason(bytes) == .badHeader)
    bytes = packet
    bytes[3] = 19
    #expect(reason(bytes) == .badHeader)
  }

  @Test func aQuoteMayEndAnywhereBehindTheHeader() throws {
    let quote = Array(PacketBuilder.udp(data: Array(repeating: 0, count: 1000)).bytes.prefix(28))
    #expect(try IPv4Header(quoted: quote.span.bytes).totalLength == 1028)
  }

  @Test func accessorsAreTotal() {
    let bytes: [UInt8] = [1, 2, 3]
    for offset in [-1, 2, 3, .max, .min] {
      #expect(bytes.span.bytes.number(at: offset, as: UInt16.self) == 0)
    }
    #expect(bytes.span.bytes.byte(at: 2) == 3)
    #expect(bytes.span.bytes.byte(at: 3) == 0)
    #expect(bytes.span.bytes.number(at: 1, as: UInt16.self) == 0x0203)
    var copy = bytes
    var span = copy.mutableSpan
    var mutable = span.mutableBytes
    for offset in [-1, 2, .max, .min] { mutable.store(UInt16(0xffff), at: offset) }
    #expect(copy == bytes)
  }
}

@Suite struct ChecksumTests {
  @Test func agreesWithTheDefinitionForEveryLength() {
    var generator = SystemRandomNumberGenerator()
    for length in 0...70 {
      let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
      var sum = Checksum()
      sum.add(bytes.span.bytes, from: 0, length: length)
      #expect(sum.value == internetChecksum(bytes))
    }
  }

  @Test func updatesLikeComputingAnew() {
    var packet = PacketBuilder.udp().bytes
    for field: UInt8 in 0...255 {
      let old = word(packet, 0)
      packet[1] = field
      let updated = Checksum.updated(word(packet, 10), from: old, to: word(packet, 0))
      packet.replaceSubrange(10..<12, with: [0, 0])
      let computed = internetChecksum(Array(packet.prefix(20)))
      #expect(updated == computed)
      packet.replaceSubrange(10..<12, with: words([computed]))
    }
  }
}

@Suite struct ExplicitCongestionTests {
  // RFC 6040, figure 4; columns: outer Not-ECT, ECT(0), ECT(1), CE. Nothing: drop.
  private static let figure: [ExplicitCongestion: [ExplicitCongestion?]] = [
    .notCapable: [.notCapable, .notCapable, .notCapable, nil],
    .capable0: [.capable0, .capable0, .capable1, .experienced],
    .capable1: [.capable1, .capable1, .capable1, .experienced],
    .experienced: [.experienced, .experienced, .experienced, .experienced],
  ]

  @Test func followsTheFigure() throws {
    let columns: [ExplicitCongestion] = [.notCapable, .capable0, .capable1, .experienced]
    for (inner, row) in Self.figure {
      for (outer, expected) in zip(columns, row) {
        #expect(ExplicitCongestion.decapsulated(inner: inner, outer: outer) == expected, "\(inner), \(outer)")
      }
    }
  }

  @Test func readsTheLowBits() {
    #expect(ExplicitCongestion(0xff) == .experienced && ExplicitCongestion(0xfd) == .capable1)
    #expect(ExplicitCongestion(0xfe) == .capable0 && ExplicitCongestion(0xfc) == .notCapable)
  }
}
