// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the echoes of the relays themselves add: whether one that carries nothing can be reached at all. On a clock that
// the test turns.

import RouterCore
import RouterKit
import Testing

struct RelayEchoTests {
  private let east = IPv6Address(bits: 0x2001_0260_0700_0001 << 64 | 0x1_0275)
  private let west = IPv6Address(bits: 0x2001_0260_0700_0001 << 64 | 0x1_0276)

  /// A line in time: what the relays do, and what was sent to them and said of them.
  private struct Line {
    var health: RelayHealth
    /// Who carries packets through the tunnel, and who answers echo.
    var carrying: Set<IPv6Address> = []
    var echoing: Set<IPv6Address> = []
    private var tick = 0
    /// When echo requests were sent to each relay, in seconds.
    private(set) var echoes: [IPv6Address: [Double]] = [:]
    /// Every assessment that was decided and not the one before, with its time in seconds.
    private(set) var said: [(at: Double, what: RelayHealth.Assessment)] = []
    private(set) var findings: [RelayHealth.Finding] = []

    init(_ health: RelayHealth) {
      self.health = health
    }

    var now: Duration { .milliseconds(tick * 100) }
    var seconds: Double { Double(tick) / 10 }

    mutating func run(seconds: Double) {
      for _ in 0..<Int(seconds * 10) {
        for relay in health.dueProbes(at: now) where carrying.contains(relay) {
          _ = health.answered(asked: relay, from: relay, at: now + .milliseconds(20))
        }
        for relay in health.dueEchoes(at: now) {
          echoes[relay, default: []].append(self.seconds)
          if echoing.contains(relay) { health.echoed(relay, request: now, at: now + .milliseconds(20)) }
        }
        let assessment = health.assessment(at: now)
        if assessment != .undecided, assessment != said.last?.what { said.append((self.seconds, assessment)) }
        if let finding = health.verdict(at: now) { findings.append(finding) }
        tick += 1
      }
    }
  }

  private func line(_ relays: [IPv6Address], carrying: Set<IPv6Address>, echoing: Set<IPv6Address>) -> Line {
    var line = Line(RelayHealth(active: relays[0], allowed: relays))
    line.carrying = carrying
    line.echoing = echoing
    return line
  }

  @Test func everyRelayIsSentOneEchoInTenSeconds() {
    var line = line([east, west], carrying: [east, west], echoing: [east])
    line.run(seconds: 60)
    #expect(line.echoes == [east: [0, 10, 20, 30, 40, 50], west: [0, 10, 20, 30, 40, 50]])
    #expect(line.health.relays[east]?.answersEcho(at: line.now) == true)
    #expect(line.health.relays[west]?.answersEcho(at: line.now) == false)
    #expect(line.said.map(\.what) == [.carrying])
  }

  @Test func aSecondUnansweredProbeAsksForAnEchoOnce() {
    var line = line([east], carrying: [east], echoing: [east])
    line.run(seconds: 33)
    line.carrying = []
    line.run(seconds: 12)
    // The probe of 33 s is the first that goes unanswered, and the next echo would have been due at 40 s.
    #expect(line.echoes[east]?.filter { $0 > 30 } == [34, 44])
  }

  @Test func aRelayThatAnswersEchoButCarriesNothingIsToldOnce() throws {
    var line = line([east], carrying: [east], echoing: [east])
    line.run(seconds: 30)
    line.carrying = []
    line.run(seconds: 600)
    line.carrying = [east]
    line.run(seconds: 30)
    #expect(line.said.map(\.what) == [.carrying, .notCarrying, .carrying])
    #expect(line.said[1].at - 30 <= 5, "\(line.said)")
    #expect(line.said[2].at - 630 <= 4, "\(line.said)")
    #expect(line.findings.isEmpty)
  }

  @Test func anEchoFromBeforeTheSilenceProvesNothing() {
    var line = line([east], carrying: [east], echoing: [east])
    line.run(seconds: 30.5)
    line.carrying = []
    line.echoing = []
    line.run(seconds: 60)
    #expect(line.said.map(\.what) == [.carrying, .unreachable])
    #expect(line.said[1].at - 30.5 <= 6, "\(line.said)")
  }

  @Test func theRightCauseIsSaidWhenItChanges() {
    var line = line([east], carrying: [], echoing: [])
    line.run(seconds: 60)
    line.echoing = [east]
    line.run(seconds: 60)
    line.echoing = []
    line.run(seconds: 60)
    #expect(line.said.map(\.what) == [.unreachable, .notCarrying, .unreachable])
  }

  @Test func oneLostEchoIsNoNews() {
    var line = line([east], carrying: [], echoing: [east])
    line.run(seconds: 29)
    line.echoing = []
    line.run(seconds: 5)
    line.echoing = [east]
    line.run(seconds: 60)
    #expect(line.said.map(\.what) == [.notCarrying])
  }

  @Test func noRelayThatCarriesIsLeftBecauseItAnswersNoEcho() {
    var line = line([east, west], carrying: [east], echoing: [west])
    line.run(seconds: 300)
    #expect(line.findings.isEmpty)
    #expect(line.said.map(\.what) == [.carrying])
  }

  @Test func aDeadRelayIsReplacedThoughItAnswersEcho() {
    var line = line([east, west], carrying: [east, west], echoing: [east])
    line.run(seconds: 30)
    line.carrying = [west]
    line.run(seconds: 6)
    #expect(line.findings.first == .replace(dead: east, answersEcho: true, alive: [west]))
    // Another one carries: that is no trouble of the line.
    #expect(line.said.map(\.what) == [.carrying])
  }

  @Test func oneEchoOutOfTwoRelaysIsEnoughToSayThatTheLineWorks() {
    var line = line([east, west], carrying: [], echoing: [west])
    line.run(seconds: 60)
    #expect(line.said.map(\.what) == [.notCarrying])
    #expect(line.said[0].at <= 6, "\(line.said)")
  }

  @Test func aLineThatLosesPacketsIsNotReportedAgainAndAgain() {
    var line = line([east], carrying: [], echoing: [east])
    line.run(seconds: 20)
    // One answer every five seconds.
    for _ in 0..<60 {
      line.carrying = [east]
      line.run(seconds: 1)
      line.carrying = []
      line.run(seconds: 4)
    }
    #expect(line.said.map(\.what) == [.notCarrying])
  }

  @Test func strangersEchoesAreIgnored() {
    var health = RelayHealth(active: east, allowed: [east])
    health.echoed(west, request: .zero, at: .zero)
    #expect(health.relays[west] == nil)
  }
}

struct OuterEchoTests {
  private let echo = OuterEcho(identifier: 0xbeef, sequence: 0x0102, cookie: 0x0123_4567_89ab_cdef)
  private let reply: [UInt8] = [
    129, 0, 0x12, 0x34, 0xbe, 0xef, 1, 2, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
  ]

  @Test func theBytesAreThoseOfAnEchoRequest() {
    #expect(
      echo.message == [128, 0, 0, 0, 0xbe, 0xef, 1, 2, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef])
  }

  @Test func itsReplyIsRecognisedAndNothingElse() {
    #expect(echo.sequence(answeredBy: reply) == 0x0102)
    #expect(echo.sequence(answeredBy: echo.message) == nil)
    #expect(echo.sequence(answeredBy: reply + [0]) == nil)
    for length in 0..<reply.count { #expect(echo.sequence(answeredBy: reply.prefix(length)) == nil) }
    for position in [0, 1, 4, 5] + Array(8..<16) {
      var other = reply
      other[position] ^= 1
      #expect(echo.sequence(answeredBy: other) == nil, "byte \(position)")
    }
  }
}
