// SPDX-License-Identifier: GPL-3.0-or-later

/// A connection to nf_tables in the network namespace of the thread that made it. Needs CAP_NET_ADMIN.
public struct NFTablesSocket: ~Copyable {
  /// Opens the connection.
  public init() throws(NFTablesError) {
  }

  /// The kernel's table of family `inet` with that name, or nothing if there is none.
  public func observe(table: String) throws(NFTablesError) -> Table? {
    nil
  }

  /// Applies all changes in one transaction, or none of them; does not talk to the kernel if there are none.
  public func apply(_ changes: [Change]) throws(NFTablesError) {
  }

  /// The readings of the table's named counters; empty if there is no such table.
  public func counters(table: String) throws(NFTablesError) -> [String: CounterReading] {
    [:]
  }

  /// Deletes the table of family `inet` with that name, if there is one.
  public func delete(table: String) throws(NFTablesError) {
  }

  /// The number of the kernel's current ruleset, which every transaction raises.
  public func generation() throws(NFTablesError) -> UInt32 {
    0
  }
}

/// What a counter has counted.
public struct CounterReading: Hashable, Sendable {
  /// The number of packets.
  public let packets: UInt64
  /// The number of their bytes, from the network header on.
  public let bytes: UInt64
}
