// SPDX-License-Identifier: GPL-3.0-or-later
//
// A network namespace for the time of one closure. It has no name and ends with the last thing in it, so that nothing has
// to be removed.

import CTestSupport
import Glibc

/// Runs `body` with the calling thread inside a new, empty network namespace (loopback is down) and returns its result.
/// Threads and processes that `body` starts are in there too. Needs root, as all network tests do.
public func inNetworkNamespace<Result>(_ body: () throws -> Result) throws -> Result {
  let home = test_enter_new_network()
  guard home >= 0 else { throw NamespaceError(code: errno) }
  defer {
    // A thread that cannot go back must not go on with other tests' work.
    precondition(test_return_to_network(home) == 0, "the thread is lost in a test's network namespace")
  }
  return try body()
}

/// Why there is no namespace: an errno value.
public struct NamespaceError: Error {
  let code: Int32
}
