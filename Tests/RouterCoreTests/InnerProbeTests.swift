// SPDX-License-Identifier: GPL-3.0-or-later
//
// The inner probe: its bytes, and which packets answer it.

import RouterCore
import RouterKit
import Testing

struct InnerProbeTests {
  private let probe = InnerProbe(
    source: IPv4Address(133, 209, 13, 2), target: IPv4Address(198, 51, 100, 10), identifier: 62495, sequence: 7,
    cookie: 0x0123_4567_89ab_cdef)

  /// The reply that a host gives: addresses swapped, type 0, checksums right.
  private var reply: [UInt8] {
    var reply = InnerProbe(
      source: probe.target, target: probe.source, identifier: probe.identifier, sequence: 7, cookie: probe.cookie
    ).packet
    reply[20] = 0
    // Type 8 became 0: the checksum grows by 0x0800 (RFC 1624).
    let old = UInt32(reply[22]) << 8 | UInt32(reply[23])
    let new = old + 0x0800
    let folded = (new & 0xffff) + (new >> 16)
    reply[22] = UInt8(folded >> 8 & 0xff)
    reply[23] = UInt8(folded & 0xff)
    return reply
  }

  @Test func theBytesAreThoseOfAnEchoRequest() {
    let expected: [UInt8] = [
      // version and length, TOS, total length 36, identification, don't fragment, TTL 64, ICMP, checksum (below)
      0x45, 0, 0, 36, 0, 0, 0x40, 0, 64, 1, 0, 0,
      // 133.209.13.2 to 198.51.100.10
      133, 209, 13, 2, 198, 51, 100, 10,
      // echo request, checksum (below), identifier 0xf41f, sequence 7
      8, 0, 0, 0, 0xf4, 0x1f, 0, 7,
      0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
    ]
    let packet = probe.packet
    for (position, byte) in expected.enumerated() where ![10, 11, 22, 23].contains(position) {
      #expect(packet[position] == byte, "byte \(position)")
    }
    #expect(packet.count == expected.count)
    #expect(Self.isSumRight(packet[0..<20]) && Self.isSumRight(packet[20..<36]))
  }

  private static func isSumRight(_ bytes: ArraySlice<UInt8>) -> Bool {
    let words = stride(from: bytes.startIndex, to: bytes.endIndex, by: 2).map {
      Int(bytes[$0]) * 256 + Int(bytes[$0 + 1])
    }
    return words.reduce(0, +) % 0xffff == 0
  }

  @Test func itsReplyIsRecognised() {
    #expect(probe.sequence(answeredBy: reply) == 7)
  }

  @Test func nothingElseIs() {
    #expect(probe.sequence(answeredBy: probe.packet) == nil)
    #expect(probe.sequence(answeredBy: []) == nil)
    #expect(probe.sequence(answeredBy: reply + [0]) == nil)
    for position in reply.indices {
      for bit in 0..<8 {
        var damaged = reply
        damaged[position] ^= 1 << bit
        #expect(probe.sequence(answeredBy: damaged) == nil, "byte \(position) bit \(bit)")
      }
      #expect(probe.sequence(answeredBy: reply.prefix(position)) == nil)
    }
    var other = probe
    other.cookie = 1
    #expect(other.sequence(answeredBy: reply) == nil)
  }
}
