// SPDX-License-Identifier: GPL-3.0-or-later
//
// A rate limit. The clock is the caller's.

/// Allows bursts of `capacity` and one event per `interval` in the long run.
struct TokenBucket: Sendable {
  private let capacity: Int
  private let interval: Duration
  private var tokens: Int
  private var lastRefill: ContinuousClock.Instant?

  /// Makes a full bucket.
  init(capacity: Int, interval: Duration) {
    self.capacity = max(capacity, 1)
    self.interval = max(interval, .nanoseconds(1))
    tokens = self.capacity
  }

  /// Takes a token; false if there is none.
  mutating func take(now: ContinuousClock.Instant) -> Bool {
    let last = lastRefill ?? now
    let earned = max(last.duration(to: now) / interval, 0)
    if earned >= Double(capacity - tokens) {
      tokens = capacity
      lastRefill = now
    } else {
      // What does not make a whole token keeps counting: the refill moves by whole intervals.
      let whole = Int(earned)
      tokens += whole
      lastRefill = last.advanced(by: interval * whole)
    }
    guard tokens > 0 else { return false }
    tokens -= 1
    return true
  }
}
