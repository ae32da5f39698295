// SPDX-License-Identifier: GPL-3.0-or-later
//
// Relays that answer, fall silent and come back, on a clock that the test turns.

import RouterCore
import RouterKit
import Testing

struct RelayHealthTests {
  private let east = IPv6Address(bits: 0x2001_0260_0700_0001 << 64 | 0x1_0275)
  private let west = IPv6Address(bits: 0x2001_0260_0700_0001 << 64 | 0x1_0276)

  /// Runs `seconds` with a tick every 100 ms; `alive` says who answers at a time.
  private func run(
    _ health: inout RelayHealth, from start: Int = 0, seconds: Int, alive: (Double) -> Set<IPv6Address>
  ) -> (at: Double, finding: RelayHealth.Finding)? {
    for tick in (start * 10)..<((start + seconds) * 10) {
      let now = Duration.milliseconds(tick * 100)
      for relay in health.dueProbes(at: now) where alive(Double(tick) / 10).contains(relay) {
        _ = health.answered(asked: relay, from: relay, at: now + .milliseconds(20))
      }
      // Relays that answer no echo at all: nothing that moves traffic may depend on that.
      _ = health.dueEchoes(at: now)
      if let finding = health.verdict(at: now) { return (Double(tick) / 10, finding) }
    }
    return nil
  }

  @Test func aSilentRelayIsReplacedWithinEightSecondsIfAnotherAnswers() throws {
    var health = RelayHealth(active: east, allowed: [east, west])
    #expect(run(&health, seconds: 60, alive: { _ in [east, west] }) == nil)
    let result = try #require(run(&health, from: 60, seconds: 60, alive: { _ in [west] }))
    #expect(result.finding == .replace(dead: east, answersEcho: false, alive: [west]))
    #expect(result.at - 60 <= 6, "\(result.at)")
  }

  @Test func nothingMovesIfNobodyAnswers() {
    var health = RelayHealth(active: east, allowed: [east, west])
    #expect(run(&health, seconds: 30, alive: { _ in [east, west] }) == nil)
    #expect(run(&health, from: 30, seconds: 120, alive: { _ in [] }) == nil)
  }

  @Test func aShortSilenceIsForgiven() {
    var health = RelayHealth(active: east, allowed: [east, west])
    let result = run(&health, seconds: 300) { time in
      // Three seconds of silence in every ten.
      time.truncatingRemainder(dividingBy: 10) < 3 ? [west] : [east, west]
    }
    #expect(result == nil)
  }

  @Test func anAnswerTooOldIsNoReasonToMove() {
    var health = RelayHealth(active: east, allowed: [east, west])
    #expect(run(&health, seconds: 10, alive: { _ in [east, west] }) == nil)
    // Both fall silent; only later does the other one come back, and only then is it moved to.
    #expect(run(&health, from: 10, seconds: 20, alive: { $0 < 10.5 ? [west] : [] }) == nil)
    let result = run(&health, from: 30, seconds: 20, alive: { _ in [west] })
    #expect(result?.finding == .replace(dead: east, answersEcho: false, alive: [west]))
  }

  @Test func anotherRelayMayAnswerAndIsReportedOnce() {
    var health = RelayHealth(active: east, allowed: [east, west])
    let first = health.answered(asked: east, from: west, at: .seconds(1))
    #expect(first == .answeredByAnother(asked: east, answered: west))
    #expect(health.answered(asked: east, from: west, at: .seconds(2)) == nil)
    #expect(health.answered(asked: east, from: IPv6Address(bits: 1), at: .seconds(3)) == nil)
    #expect(health.relays[east]?.lastAnswer == .seconds(2))
  }

  @Test func probesGoOutAtTheirPeriods() {
    var health = RelayHealth(active: east, allowed: [east, west])
    var counts: [IPv6Address: Int] = [:]
    for tick in 0..<600 {
      for relay in health.dueProbes(at: .milliseconds(tick * 100)) { counts[relay, default: 0] += 1 }
    }
    #expect(counts == [east: 60, west: 30])
  }

  @Test func aSingleRelayIsFollowedButNeverReplaced() {
    var health = RelayHealth(active: east, allowed: [east])
    #expect(run(&health, seconds: 60, alive: { _ in [] }) == nil)
    #expect((health.relays[east]?.unanswered ?? 0) >= 59)
  }
}
