// SPDX-License-Identifier: GPL-3.0-or-later
//
// What went wrong in a request to the kernel, told so that the log line needs no second look: what was asked for, the
// errno, and the kernel's own sentence (extended acknowledgement) if it gave one.

import Glibc

/// A request to the kernel that failed.
public struct NetlinkError: Error, Hashable, Sendable {
  /// What was asked for, as the end of the sentence "cannot …", for example `add the address 2001:db8::1/128 to
  /// interface 3`.
  public let operation: String
  /// The errno value, for example `EEXIST`. `EBADMSG` stands for an answer that could not be understood.
  public let code: CInt
  /// The kernel's own explanation, if it gave one.
  public let kernelMessage: String?

  /// Makes an error.
  public init(operation: String, code: CInt, kernelMessage: String? = nil) {
    self.operation = operation
    self.code = code
    self.kernelMessage = kernelMessage
  }

  /// Whether the object to be removed or changed is not there, so that a removal may count as done.
  public var isAlreadyGone: Bool {
    [ENODEV, ENOENT, ESRCH, EADDRNOTAVAIL].contains(code)
  }

  /// Whether the object to be added is there already.
  public var alreadyExists: Bool {
    code == EEXIST
  }
}

extension NetlinkError: CustomStringConvertible {
  /// One sentence for a log line.
  public var description: String {
    // glibc's strerror keeps its text in static or thread-local memory (since 2.32), so this is safe on any thread.
    let reason = strerror(code).map { String(cString: $0) } ?? "error \(code)"
    return "cannot \(operation): \(reason)" + (kernelMessage.map { " (the kernel says: \($0))" } ?? "")
  }
}
