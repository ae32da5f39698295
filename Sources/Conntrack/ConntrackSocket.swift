// SPDX-License-Identifier: GPL-3.0-or-later

public import RouterKit

/// A connection to the kernel's connection tracking in the network namespace of the thread that made it. Needs
/// CAP_NET_ADMIN.
public struct ConntrackSocket: ~Copyable {
  /// Opens the connection.
  public init() throws(ConntrackError) {
  }

  /// Deletes the IPv4 connections whose answers come back to `address`, that is those whose source was translated to
  /// it or that were opened from it.
  /// - Parameters:
  ///   - address: the translated source address.
  ///   - shouldDelete: told the port (ICMP: identifier) that answers come back to; 0 for protocols without ports.
  /// - Returns: how many were deleted.
  @discardableResult
  public func deleteEntries(
    translatedTo address: IPv4Address, where shouldDelete: (UInt16) -> Bool = { _ in true }
  ) throws(ConntrackError) -> Int {
    0
  }
}

/// A failure of connection tracking.
public struct ConntrackError: Error, Hashable, Sendable {
  /// What was being done.
  public let action: String
  /// The number of the error (`errno`).
  public let code: Int32
}
