// SPDX-License-Identifier: GPL-3.0-or-later
//
// The pace of repairs, on a clock that the test turns.

import NFTables
import RouterCore
import Testing

struct RepairPacerTests {
  private let table = Repair(.applyTable(Table(name: "routerd")), observed: ObservedState())

  @Test func singleDamageIsRepairedAtOnce() {
    var pacer = RepairPacer()
    for second in stride(from: 0, to: 1000, by: 5) {
      let now = Duration.seconds(second)
      #expect(pacer.nextLook(after: now) == now)
      let isReport = pacer.looked(at: now, repaired: [table])
      #expect(!isReport && !pacer.isSlowedDown)
    }
  }

  @Test func differentDamageInARowIsNoFight() {
    var pacer = RepairPacer()
    for number in 0..<100 {
      _ = pacer.looked(
        at: .milliseconds(number * 50), repaired: [Repair(.removeDevice("thing \(number)"), observed: ObservedState())])
      #expect(!pacer.isSlowedDown)
    }
  }

  @Test func theSameRepairOfDifferentDamageIsNoFight() {
    let change = KernelChange.applyTable(Table(name: "routerd"))
    let repairs = (0..<3).map {
      Repair(change, observed: ObservedState(table: Table(name: "routerd", comment: "\($0)")))
    }
    #expect(Set(repairs).count == 3)
    #expect(Repair(change, observed: ObservedState()) == table)
  }

  @Test func looksAreSpaced() {
    var pacer = RepairPacer()
    _ = pacer.looked(at: .seconds(1), repaired: [])
    #expect(pacer.nextLook(after: .seconds(1)) == .milliseconds(1100))
    #expect(pacer.nextLook(after: .seconds(2)) == .seconds(2))
  }

  /// Somebody undoes everything at once, for ten minutes: the looks become rare, and there is one report.
  @Test func constantDamageSlowsDownToOneLookInThirtySeconds() {
    var pacer = RepairPacer()
    var now = Duration.zero
    var reports = 0
    var looks = 0
    while now < .seconds(600) {
      if pacer.looked(at: now, repaired: [table]) { reports += 1 }
      looks += 1
      now = pacer.nextLook(after: now)
    }
    #expect(reports == 1)
    #expect(looks < 35, "\(looks) looks")
    #expect(pacer.nextLook(after: now) - now <= .seconds(30))
  }

  /// Whoever is faster than a look: it ends without the table, every time.
  @Test func attemptsThatAreUndoneAtOnceSlowDownToo() {
    var pacer = RepairPacer()
    var now = Duration.zero
    var reports = 0
    var looks = 0
    while now < .seconds(600) {
      if pacer.gaveUp(at: now) { reports += 1 }
      looks += 1
      now = pacer.nextLook(after: now)
    }
    #expect(reports == 1)
    #expect(looks < 30, "\(looks) looks")
    // It ended, and a look some time later finds nothing amiss.
    now += .seconds(61)
    _ = pacer.looked(at: now, repaired: [])
    #expect(!pacer.isSlowedDown)
  }

  @Test func trustComesBackWithQuiet() {
    var pacer = RepairPacer()
    var now = Duration.zero
    for _ in 0..<7 {
      _ = pacer.looked(at: now, repaired: [table])
      now += .milliseconds(250)
    }
    #expect(pacer.isSlowedDown)
    // A quiet look right after is not enough.
    _ = pacer.looked(at: now, repaired: [])
    #expect(pacer.isSlowedDown)
    now += .seconds(61)
    _ = pacer.looked(at: now, repaired: [])
    #expect(!pacer.isSlowedDown)
    _ = pacer.looked(at: now, repaired: [table])
    #expect(!pacer.isSlowedDown)
  }
}
