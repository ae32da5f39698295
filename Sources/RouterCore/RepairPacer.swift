// SPDX-License-Identifier: GPL-3.0-or-later
//
// How fast damage is repaired. Once, at once: what somebody deleted is back before anybody notices. But when something
// else keeps changing what routerd sets (another firewall that flushes the ruleset, a network manager that removes
// foreign addresses), repairing at its pace would burn a core and help nobody. Then repairs slow down, from 250 ms
// doubling to 30 s, until the damage stays away for a while.

public import NFTables

/// Something that was put right although nobody had asked for a change.
public struct Repair: Hashable, Sendable {
  /// The change that put it right.
  public let change: KernelChange
  /// For the nftables table, what was there instead: the same damage again and again is told from different damage.
  public let found: Table?

  /// Notes a change and what it was planned from.
  public init(_ change: KernelChange, observed: ObservedState) {
    self.change = change
    if case .applyTable = change { found = observed.table } else { found = nil }
  }
}

/// Decides when the next look at the kernel may be taken.
public struct RepairPacer: Sendable {
  /// So many repairs of one thing within ``window`` are taken as accidents.
  public static let freeRepairs = 4
  /// The time in which repairs are counted, and after which a quiet kernel is trusted again.
  public static let window = Duration.seconds(10)
  /// The first delay of a slowed-down repair.
  public static let firstDelay = Duration.milliseconds(250)
  /// The longest delay.
  public static let longestDelay = Duration.seconds(30)
  /// Looks are never closer together than this, whatever happens: events come in crowds.
  public static let spacing = Duration.milliseconds(100)

  private var repairs: [(repair: Repair, when: Duration)] = []
  private var delay: Duration?
  private var lastLook: Duration?
  private var lastRepair: Duration?

  /// Makes a pacer that has seen nothing.
  public init() {}

  /// Whether repairs are slowed down at the moment.
  public var isSlowedDown: Bool { delay != nil }

  /// Notes a look that was taken.
  /// - Parameters:
  ///   - now: monotonic time.
  ///   - repaired: what had to be put right.
  /// - Returns: true if repairs begin to be slowed down with this look, which is worth one report.
  public mutating func looked(at now: Duration, repaired: [Repair]) -> Bool {
    lastLook = now
    guard !repaired.isEmpty else {
      // The damage has to stay away for longer than the delay, or one quiet look would undo the patience.
      if let lastRepair, now - lastRepair > max(Self.window, (delay ?? .zero) * 2) { delay = nil }
      return false
    }
    lastRepair = now
    repairs = repairs.filter { now - $0.when < Self.window } + repaired.map { ($0, now) }
    // Different damage in a row is somebody at work; the same damage again and again is a fight.
    let isFight = repaired.contains { repair in repairs.count { $0.repair == repair } > Self.freeRepairs }
    return isFight || isSlowedDown ? slowDown() : false
  }

  /// Notes a look that ended without the kernel being as wanted, because each attempt was undone at once.
  /// - Parameter now: monotonic time.
  /// - Returns: as ``looked(at:repaired:)`` does.
  public mutating func gaveUp(at now: Duration) -> Bool {
    lastLook = now
    lastRepair = now
    return slowDown()
  }

  /// Twice as patient as before; true with the first step.
  private mutating func slowDown() -> Bool {
    guard let current = delay else {
      delay = Self.firstDelay
      return true
    }
    delay = min(current * 2, Self.longestDelay)
    return false
  }

  /// The earliest time of the next look that is taken because something happened.
  public func nextLook(after now: Duration) -> Duration {
    guard let lastLook else { return now }
    return max(now, lastLook + (delay ?? Self.spacing))
  }
}
