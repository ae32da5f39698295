// SPDX-License-Identifier: GPL-3.0-or-later
//
// A network namespace for the time of one closure. It belongs to a thread that is made for it and ends with it, so that
// nothing has a name and nothing has to be removed.

import CTestSupport
import Glibc

/// Runs `body` on a thread of its own inside a new, empty network namespace (loopback is down) and returns its result.
/// Needs root, as all network tests do.
public func inNetworkNamespace<Result>(_ body: () throws -> Result) throws -> Result {
  try withoutActuallyEscaping(body) { body in
    let job = Job { Swift.Result { try body() } }
    var thread = pthread_t()
    let status = pthread_create(
      &thread, nil,
      { argument in
        argument.map { Unmanaged<AnyJob>.fromOpaque($0).takeUnretainedValue().run() }
        return nil
      }, Unmanaged<AnyJob>.passUnretained(job).toOpaque())
    guard status == 0 else { throw NamespaceError(step: "pthread_create", code: status) }
    pthread_join(thread, nil)
    if let code = job.unshareFailure { throw NamespaceError(step: "unshare", code: code) }
    guard let result = job.result else { throw NamespaceError(step: "run", code: 0) }
    return try result.get()
  }
}

/// Why there is no namespace.
public struct NamespaceError: Error {
  let step: String
  let code: Int32
}

private class AnyJob {
  func run() {}
}

private final class Job<Value>: AnyJob {
  private let body: () -> Swift.Result<Value, any Error>
  private(set) var result: Swift.Result<Value, any Error>?
  private(set) var unshareFailure: Int32?

  init(_ body: @escaping () -> Swift.Result<Value, any Error>) {
    self.body = body
  }

  override func run() {
    let code = test_unshare_network()
    guard code == 0 else {
      unshareFailure = code
      return
    }
    result = body()
  }
}
