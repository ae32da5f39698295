// SPDX-License-Identifier: GPL-3.0-or-later
//
// A cache for what the network makes us remember. It has a fixed size, or strangers would choose how much memory the
// daemon takes. Two generations make that cheap: when the young one is full the old one is forgotten as a whole and the
// young one becomes old; an entry that is used moves to the young one. So what is in use stays, as with a list in order of
// use, without keeping one.

/// A cache of bounded size whose entries expire.
struct BoundedCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
  private struct Entry {
    let value: Value
    let expiry: ContinuousClock.Instant
  }

  private let generationCapacity: Int
  private let lifetime: Duration
  private var young: [Key: Entry] = [:]
  private var old: [Key: Entry] = [:]

  /// Makes an empty cache.
  /// - Parameters:
  ///   - capacity: the most entries it ever has, at least 2.
  ///   - lifetime: how long an entry counts after it was stored.
  init(capacity: Int, lifetime: Duration) {
    generationCapacity = max(capacity / 2, 1)
    self.lifetime = lifetime
  }

  /// How many entries there are, expired ones among them.
  var count: Int { young.count + old.count }

  /// The value stored for `key`, if it has not expired.
  mutating func value(for key: Key, now: ContinuousClock.Instant) -> Value? {
    if let entry = young[key] {
      return entry.expiry > now ? entry.value : nil
    }
    guard let entry = old.removeValue(forKey: key), entry.expiry > now else { return nil }
    put(entry, for: key)
    return entry.value
  }

  /// Stores `value` for `key` and starts its lifetime.
  mutating func store(_ value: Value, for key: Key, now: ContinuousClock.Instant) {
    old.removeValue(forKey: key)
    put(Entry(value: value, expiry: now.advanced(by: lifetime)), for: key)
  }

  private mutating func put(_ entry: Entry, for key: Key) {
    if young.count >= generationCapacity, young[key] == nil {
      old = young
      young = Dictionary(minimumCapacity: generationCapacity)
    }
    young[key] = entry
  }
}
