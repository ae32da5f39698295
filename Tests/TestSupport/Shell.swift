// SPDX-License-Identifier: GPL-3.0-or-later
//
// Other programs for tests (`ip`, `nft`, …). They run in the network namespace of the calling thread.

import Glibc

/// Why a script did not do.
public struct ShellError: Error, CustomStringConvertible {
  /// The script that failed, what it wrote and how it ended.
  public let description: String
}

/// Runs a script with `sh` and returns what it wrote, errors included.
/// - Throws: ``ShellError`` if a command of it fails.
@discardableResult
public func shell(_ script: String) throws -> String {
  // "e": no other child that is started meanwhile may keep the pipe open.
  guard let pipe = popen("exec 2>&1; set -e\n\(script)", "re") else {
    throw ShellError(description: "popen: errno \(errno)")
  }
  var output: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 1 << 14)
  while true {
    let count = fread(&chunk, 1, chunk.count, pipe)
    guard count > 0 else { break }
    output += chunk.prefix(count)
  }
  let ending = pclose(pipe)
  let text = String(decoding: output, as: UTF8.self)
  guard ending == 0 else { throw ShellError(description: "\(script)\n\(text)\nended with \(ending)") }
  return text
}
