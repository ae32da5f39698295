// SPDX-License-Identifier: GPL-3.0-or-later
//
// What far ends can be reached with which packet size (RFC 8201): learnt from ICMPv6 "packet too big", forgotten after
// ten minutes, never below the IPv6 minimum. The kernel keeps the same figure for fragmenting outer packets; this one is
// for telling senders inside.

import RouterKit

/// Path MTUs by far end.
struct PathMTUCache: Sendable {
  /// Every IPv6 path carries this much; smaller figures in errors are wrong or malicious.
  static let minimum = 1280
  /// Length of the outer header.
  static let overhead = 40

  private var entries = BoundedCache<IPv6Address, Int>(capacity: 4096, lifetime: .seconds(600))

  /// Notes that packets to `destination` may have `mtu` bytes at the most. A larger figure than the one known changes
  /// nothing: an error never says that a path got better.
  mutating func learn(_ mtu: Int, for destination: IPv6Address, now: ContinuousClock.Instant) {
    let mtu = max(mtu, Self.minimum)
    entries.store(min(mtu, entries.value(for: destination, now: now) ?? mtu), for: destination, now: now)
  }

  /// The path MTU to `destination`, at most `limit`.
  mutating func mtu(for destination: IPv6Address, limit: Int, now: ContinuousClock.Instant) -> Int {
    min(limit, entries.value(for: destination, now: now) ?? limit)
  }
}
