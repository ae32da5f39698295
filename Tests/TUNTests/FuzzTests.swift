// SPDX-License-Identifier: GPL-3.0-or-later
//
// Random packets, from pure noise to packets with a few wrong bytes: nothing traps, whatever is delivered lies within
// what was received, and whatever is answered is a well-formed packet.

import RouterKit
import Testing

@testable import TUN

/// A reproducible generator (xorshift64*), so that a failure can be run again.
private struct Generator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed | 1 }

  mutating func next() -> UInt64 {
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return state &* 0x2545_f491_4f6c_dd1d
  }
}

@Suite struct FuzzTests {
  /// What the packets are made from.
  private static func seeds() throws -> [[UInt8]] {
    let remote = IPv4Address(198, 51, 100, 1)
    let peer = IPv4Address(133, 209, 13, 3)
    let data = Array(repeating: UInt8(0x5a), count: 60)
    let quote = PacketBuilder.tcp(remote, 443, Line.ipv4, 5136, data: data).bytes
    let tunnel = try Line.tunnel()
    var fragment = PacketBuilder.udp(peer, 5136, Line.ipv4, 5137, data: data)
    fragment.hasMoreFragments = true
    return [
      PacketBuilder.udp(remote, 7, Line.ipv4, 5136, data: data).bytes,
      PacketBuilder.udp(data: data).bytes, fragment.bytes,
      PacketBuilder.udp(Line.ipv4, 5136, peer, 62495, data: data).bytes,
      PacketBuilder.udp(peer, 62495, Line.ipv4, 5137, data: data).bytes,
      PacketBuilder.tcp(Line.ipv4, 5136, remote, 443, flags: 2, options: [2, 4, 5, 0xb4, 1, 1, 4, 2]).bytes,
      PacketBuilder.tcp(remote, 443, Line.ipv4, 5136, data: data).bytesWithPartialChecksum,
      PacketBuilder.icmp(Line.ipv4, remote, type: 3, code: 4, rest: [0, 1300], data: quote).bytes,
      PacketBuilder.icmp(remote, Line.ipv4, type: 11, data: quote).bytes,
      tunnelError(
        type: 2, value: 1300, from: tunnel.localAddress, to: tunnel.relay, inner: PacketBuilder.udp(data: data).bytes),
      tunnelError(
        type: 1, from: tunnel.localAddress, to: tunnel.relay, fragmentHeader: [4, 0, 0, 1, 0, 0, 0, 9],
        inner: PacketBuilder.udp(data: data).bytes),
    ]
  }

  private static func packet(_ seeds: [[UInt8]], _ generator: inout Generator) -> [UInt8] {
    let length = Int.random(in: 0...120, using: &generator)
    guard UInt8.random(in: 0...7, using: &generator) > 0, var packet = seeds.randomElement(using: &generator) else {
      return (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }
    for _ in 0..<Int.random(in: 0...4, using: &generator) {
      packet[Int.random(in: 0..<packet.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
    }
    // Half of the packets are cut off somewhere.
    return Bool.random(using: &generator) ? packet : Array(packet.prefix(length))
  }

  @Test(arguments: [false, true]) func nothingTraps(mesh: Bool) throws {
    var generator = Generator(seed: mesh ? 0x6d65_7368 : 0x6875_6221)
    let seeds = try Self.seeds()
    let tunnel = try Line.tunnel(mesh: mesh)
    let configuration = PacketConfiguration(tunnel)
    var encapsulator = Encapsulator(configuration)
    var decapsulator = Decapsulator(configuration)
    let translator = TunnelErrorTranslator(configuration: configuration)
    let sources = [tunnel.relay, try Line.subscriber(), try Line.neighbour(), try IPv6Address("2001:db8::1")]
    let now = ContinuousClock.now
    var sizes = SegmentSizes()
    var passed = 0
    for _ in 0..<100_000 {
      var packet = Self.packet(seeds, &generator)
      if case .send(_, _, let length) = encapsulator.handle(packet.span.bytes, now: now, pathMTU: { _ in 1500 }) {
        passed += 1
        if length > packet.count { Issue.record("sends \(length) of \(packet)") }
        let header = try IPv4Header(packet.span.bytes)
        if let news = SegmentSizes.News(packet.span.bytes, header) { sizes.learn(news, now: now) }
      }
      let result = translator.translate(packet.span.bytes)
      for answer in [result.answer, ICMPError.fragmentationNeeded(mtu: 1300).packet(about: packet.span.bytes)] {
        guard let answer else { continue }
        passed += 1
        if answer.count > 576 || internetChecksum(Array(answer.prefix(20))) != 0
          || internetChecksum(Array(answer.dropFirst(20))) != 0
        {
          Issue.record("answers \(answer) to \(packet)")
        }
      }
      let count = packet.count
      var span = packet.mutableSpan
      var bytes = span.mutableBytes
      let verdict = decapsulator.handle(
        &bytes, from: sources.randomElement(using: &generator) ?? tunnel.relay,
        trafficClass: UInt8.random(in: 0...3, using: &generator), now: now,
        packetSize: { sizes.packetSize(for: $0, limit: 1460, now: now) })
      if case .deliver(let offload, let length) = verdict {
        passed += 1
        if length > count || Int(offload.checksumStart) + Int(offload.checksumOffset) > length {
          Issue.record("delivers \(length) of \(packet)")
        }
      }
    }
    // The packets must be close enough to real ones to get past the first check.
    #expect(passed > 20_000)
  }
}
