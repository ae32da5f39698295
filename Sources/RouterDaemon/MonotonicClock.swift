// SPDX-License-Identifier: GPL-3.0-or-later
//
// The clock of everything that waits: it never jumps, whatever is done to the time of day.

import Glibc

enum MonotonicClock {
  /// Time since some fixed moment.
  static var now: Duration {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
  }
}
