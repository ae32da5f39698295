// SPDX-License-Identifier: GPL-3.0-or-later
//
// What is remembered, for how long, and that it stays bounded.

import RouterKit
import Testing

@testable import TUN

private let start = ContinuousClock.now

@Suite struct BoundedCacheTests {
  @Test func forgetsInTime() {
    var cache = BoundedCache<Int, String>(capacity: 4, lifetime: .seconds(10))
    func value(_ key: Int, _ now: ContinuousClock.Instant) -> String? { cache.value(for: key, now: now) }
    cache.store("a", for: 1, now: start)
    #expect(value(1, start + .seconds(9)) == "a")
    #expect(value(1, start + .seconds(10)) == nil)
    cache.store("b", for: 1, now: start + .seconds(10))
    #expect(value(1, start + .seconds(19)) == "b")
  }

  @Test func staysBoundedAndKeepsWhatIsUsed() {
    var cache = BoundedCache<Int, Int>(capacity: 100, lifetime: .seconds(1000))
    func value(_ key: Int, _ now: ContinuousClock.Instant) -> Int? { cache.value(for: key, now: now) }
    cache.store(-1, for: -1, now: start)
    for number in 0..<10_000 {
      cache.store(number, for: number, now: start)
      #expect(cache.count <= 100)
      #expect(value(-1, start) == -1)
    }
    #expect(value(9_999, start) == 9_999)
    #expect(value(0, start) == nil)
  }

  @Test func usingDoesNotProlong() {
    var cache = BoundedCache<Int, Int>(capacity: 2, lifetime: .seconds(10))
    func value(_ key: Int, _ now: ContinuousClock.Instant) -> Int? { cache.value(for: key, now: now) }
    cache.store(1, for: 1, now: start)
    cache.store(2, for: 2, now: start + .seconds(5))
    #expect(value(1, start + .seconds(5)) == 1)
    #expect(value(1, start + .seconds(10)) == nil)
  }
}

@Suite struct TokenBucketTests {
  @Test func allowsABurstAndThenTheRate() {
    var bucket = TokenBucket(capacity: 3, interval: .milliseconds(10))
    func take(_ now: ContinuousClock.Instant) -> Bool { bucket.take(now: now) }
    #expect((0..<5).map { _ in take(start) } == [true, true, true, false, false])
    #expect(!take(start + .milliseconds(9)))
    #expect(take(start + .milliseconds(10)))
    #expect(!take(start + .milliseconds(10)))
    // Parts of an interval are not lost.
    #expect(!take(start + .milliseconds(15)))
    #expect(take(start + .milliseconds(20)))
  }

  @Test func neverHoldsMoreThanItsCapacity() {
    var bucket = TokenBucket(capacity: 2, interval: .nanoseconds(1))
    func take(_ now: ContinuousClock.Instant) -> Bool { bucket.take(now: now) }
    #expect(take(start))
    let later = start + .seconds(1 << 40)
    #expect((0..<4).map { _ in take(later) } == [true, true, false, false])
  }

  @Test func aClockThatStandsStillGivesNothing() {
    var bucket = TokenBucket(capacity: 1, interval: .milliseconds(1))
    func take(_ now: ContinuousClock.Instant) -> Bool { bucket.take(now: now) }
    #expect(take(start))
    #expect(!take(start - .seconds(5)))
    #expect(!take(start))
  }
}

@Suite struct PathMTUCacheTests {
  private let relay = IPv6Address(bits: 1)

  @Test func learnsForgetsAndKeepsTheFloor() {
    var cache = PathMTUCache()
    func mtu(_ destination: IPv6Address, _ limit: Int, _ now: ContinuousClock.Instant) -> Int {
      cache.mtu(for: destination, limit: limit, now: now)
    }
    #expect(mtu(relay, 1500, start) == 1500)
    cache.learn(1400, for: relay, now: start)
    #expect(mtu(relay, 1500, start) == 1400)
    #expect(mtu(relay, 1350, start) == 1350)
    #expect(mtu(IPv6Address(bits: 2), 1500, start) == 1500)
    cache.learn(1450, for: relay, now: start)
    #expect(mtu(relay, 1500, start) == 1400)
    cache.learn(0, for: relay, now: start)
    #expect(mtu(relay, 1500, start) == 1280)
    #expect(mtu(relay, 1500, start + .seconds(599)) == 1280)
    #expect(mtu(relay, 1500, start + .seconds(600)) == 1500)
  }
}

@Suite struct SegmentSizesTests {
  private let remote = IPv4Address(198, 51, 100, 1)
  private var flow: Flow { Flow(local: Line.ipv4, localPort: 5136, remote: remote, remotePort: 443) }

  private func news(_ packet: [UInt8]) throws -> SegmentSizes.News? {
    SegmentSizes.News(packet.span.bytes, try IPv4Header(packet.span.bytes))
  }

  private func synchronize(_ options: [UInt8], flags: UInt8 = 2) throws -> SegmentSizes.News? {
    try news(PacketBuilder.tcp(Line.ipv4, 5136, remote, 443, flags: flags, options: options).bytes)
  }

  @Test func readsTheSegmentSizeOfSYNs() throws {
    #expect(try synchronize([2, 4, 0x05, 0x8c]) == .init(flow: flow, packetSize: 1460, isBeginning: true))
    #expect(try synchronize([1, 1, 4, 2, 2, 4, 0x05, 0x00])?.packetSize == 1320)
    #expect(try synchronize([2, 4, 0x05, 0x00], flags: 0x12)?.packetSize == 1320)
    // None, cut off, or too small to be true.
    #expect(try synchronize([])?.packetSize == 576)
    #expect(try synchronize([1, 1, 2, 4])?.packetSize == 576)
    #expect(try synchronize([3, 0, 2, 4])?.packetSize == 576)
    #expect(try synchronize([2, 4, 0, 1])?.packetSize == 576)
    #expect(try synchronize([2, 4, 0x05, 0x8c], flags: 0x10) == nil)
  }

  @Test func readsFragmentationNeeded() throws {
    let segment = PacketBuilder.tcp(remote, 443, Line.ipv4, 5136, data: Array(repeating: 7, count: 1400)).bytes
    let error = PacketBuilder.icmp(
      Line.ipv4, remote, type: 3, code: 4, rest: [0, 1300], data: Array(segment.prefix(28)))
    #expect(try news(error.bytes) == .init(flow: flow, packetSize: 1300, isBeginning: false))
    let other = PacketBuilder.icmp(Line.ipv4, remote, type: 3, code: 3, data: Array(segment.prefix(28)))
    #expect(try news(other.bytes) == nil)
    #expect(try news(PacketBuilder.udp().bytes) == nil)
  }

  @Test func keepsTheSmallestUntilAFlowBeginsAnew() {
    var sizes = SegmentSizes()
    func packetSize() -> Int { sizes.packetSize(for: flow, limit: 1460, now: start) }
    #expect(packetSize() == 1460)
    sizes.learn(.init(flow: flow, packetSize: 1300, isBeginning: false), now: start)
    sizes.learn(.init(flow: flow, packetSize: 1400, isBeginning: false), now: start)
    #expect(packetSize() == 1300)
    sizes.learn(.init(flow: flow, packetSize: 1500, isBeginning: true), now: start)
    #expect(packetSize() == 1460)
  }
}
