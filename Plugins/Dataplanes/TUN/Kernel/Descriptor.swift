// SPDX-License-Identifier: GPL-3.0-or-later
//
// File descriptors with one owner, and how long to wait for them.

import CTUN
import Glibc

/// A file descriptor that is closed with its last user. Threads hold on to it while they use it, so that its number can
/// never mean another file meanwhile.
final class Descriptor: Sendable {
  let number: CInt

  /// Takes over `result` of a shim function.
  /// - Throws: the error, if `result` is one.
  init(_ result: CInt) throws(SystemError) {
    guard result >= 0 else { throw SystemError(code: -result) }
    number = result
  }

  deinit {
    close(number)
  }
}

/// An errno value.
struct SystemError: Error, Hashable, Sendable, CustomStringConvertible {
  let code: CInt

  var description: String {
    strerror(code).map { String(cString: $0) } ?? "error \(code)"
  }
}

/// Wakes one thread that waits in ``wait(for:events:or:milliseconds:)``.
final class WakeUp: Sendable {
  private let descriptor: Descriptor

  init() throws(SystemError) {
    descriptor = try Descriptor(routerd_tun_open_event())
  }

  /// Wakes the thread, now or when it waits next.
  func send() {
    var value: UInt64 = 1
    // It cannot fail but for a full counter, and then the thread is being woken already.
    _ = write(descriptor.number, &value, 8)
  }

  /// Waits until `file` has one of `events`, until woken, or until the time is over; -1 waits forever.
  func wait(for file: CInt, events: Int32, milliseconds: CInt = -1) {
    var descriptors = [
      pollfd(fd: file, events: Int16(truncatingIfNeeded: events), revents: 0),
      pollfd(fd: descriptor.number, events: Int16(truncatingIfNeeded: POLLIN), revents: 0),
    ]
    poll(&descriptors, 2, milliseconds)
    if descriptors[1].revents != 0 {
      var value: UInt64 = 0
      _ = read(descriptor.number, &value, 8)
    }
  }
}
