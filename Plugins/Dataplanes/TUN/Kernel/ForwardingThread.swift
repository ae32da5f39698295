// SPDX-License-Identifier: GPL-3.0-or-later
//
// A thread of its own for a loop that moves packets: it blocks in poll(2), which has no place on Swift's shared executor,
// and it lives in the network namespace of whoever starts it.

import CTUN
import Glibc

/// A running thread.
final class ForwardingThread: Sendable {
  private let thread: pthread_t

  /// Starts `body` on a new thread that takes no signals: those are for the daemon.
  /// - Parameter name: at most 15 bytes, shown by ps(1).
  init(name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
    let start = Unmanaged.passRetained(Start(name: name, body: body))
    var all = sigset_t()
    var previous = sigset_t()
    sigfillset(&all)
    // A thread inherits the mask of its creator.
    pthread_sigmask(SIG_SETMASK, &all, &previous)
    var thread = pthread_t()
    let code = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
        routerd_tun_name_thread(start.name)
        start.body()
        return nil
      }, start.toOpaque())
    pthread_sigmask(SIG_SETMASK, &previous, nil)
    guard code == 0 else {
      start.release()
      throw SystemError(code: code)
    }
    self.thread = thread
  }

  /// Waits for the end of the thread. To be called once.
  func join() {
    pthread_join(thread, nil)
  }

  private final class Start: Sendable {
    let name: String
    let body: @Sendable () -> Void

    init(name: String, body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }
}
