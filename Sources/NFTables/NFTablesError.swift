// SPDX-License-Identifier: GPL-3.0-or-later
//
// What went wrong with nf_tables: which step, what the kernel said.

internal import Glibc

/// A failure of nf_tables.
public struct NFTablesError: Error, Hashable, Sendable {
  /// What was being done and to which object, as the beginning of a sentence: “adding chain guard of table inet routerd”.
  public let action: String
  /// The number of the error (`errno`), or 0 if there is none.
  public let code: Int32
  /// More about the cause in words, if there is more.
  public let detail: String?

  init(_ action: String, code: Int32, detail: String? = nil) {
    self.action = action
    self.code = code
    self.detail = detail
  }
}

extension NFTablesError: CustomStringConvertible {
  /// The failure as a sentence without a full stop.
  public var description: String {
    let reason = [code == 0 ? nil : strerror(code).map { String(cString: $0) }, detail].compactMap(\.self)
    return "\(action) failed: \(reason.joined(separator: "; "))"
  }
}
