// SPDX-License-Identifier: GPL-3.0-or-later
//
// The verbs: look at a table, change it, delete it.
//
// A table is read in several listings, between which it may change. The number of the ruleset's generation is therefore
// read before and after; if it moved, or a listing was disturbed, everything is read again.

internal import CNFTNL
internal import Glibc

/// A connection to nf_tables in the network namespace of the thread that made it. Needs CAP_NET_ADMIN; calls block, for
/// milliseconds.
public struct NFTablesSocket: ~Copyable {
  /// How often a table is read before giving up on a ruleset that never stands still.
  private static let attempts = 20

  private let channel: NetfilterChannel

  /// Opens the connection.
  public init() throws(NFTablesError) {
    channel = try NetfilterChannel()
  }

  /// The kernel's table of family `inet` with that name, or nothing if there is none.
  public func observe(table: String) throws(NFTablesError) -> Table? {
    try consistently("reading table inet \(table)") { (listing) throws(NFTablesError) in
      try listing.table(named: table)
    }
  }

  /// Applies all changes in one transaction, or none of them; does not talk to the kernel if there are none.
  ///
  /// An error in which the kernel's answer got lost (`ENOBUFS`, `ETIMEDOUT`) leaves open whether the changes were made:
  /// observe again.
  public func apply(_ changes: [Change]) throws(NFTablesError) {
    guard !changes.isEmpty else { return }
    try channel.transact(try Transaction(changes))
  }

  /// The readings of the table's named counters; empty if there is no such table.
  public func counters(table: String) throws(NFTablesError) -> [String: CounterReading] {
    try consistently("reading the counters of table inet \(table)") { (listing) throws(NFTablesError) in
      try listing.counters(of: table)
    }
  }

  /// Deletes the table of family `inet` with that name, if there is one.
  public func delete(table: String) throws(NFTablesError) {
    do throws(NFTablesError) {
      try channel.transact(try Transaction.deleting(table: table))
    } catch  where error.code == ENOENT {
      return
    }
  }

  /// The number of the kernel's current ruleset, which every transaction of anybody raises.
  public func generation() throws(NFTablesError) -> UInt32 {
    try Listing(channel: channel).generation()
  }

  private func consistently<Value>(
    _ action: String, _ read: (Listing) throws(NFTablesError) -> Value
  ) throws(NFTablesError) -> Value {
    for _ in 0..<Self.attempts {
      let listing = Listing(channel: channel)
      let before = try listing.generation()
      let value: Value
      do throws(NFTablesError) {
        value = try read(listing)
      } catch  where error.code == EINTR || error.code == ENOENT {
        // Disturbed, or something vanished between two listings.
        continue
      }
      if try listing.generation() == before { return value }
    }
    throw NFTablesError(action, code: EBUSY, detail: "somebody changes the ruleset all the time")
  }
}

/// What a counter has counted.
public struct CounterReading: Hashable, Sendable {
  /// The number of packets.
  public let packets: UInt64
  /// The number of their bytes, from the network header on.
  public let bytes: UInt64
}
