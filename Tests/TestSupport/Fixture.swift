// SPDX-License-Identifier: GPL-3.0-or-later
//
// Files under Tests/Fixtures and Plugins, found from this source file so that tests run from any folder.

import CTestSupport
import Glibc

/// Reads files of the source tree.
public enum Fixture {
  /// The source tree.
  public static let tree: String = {
    let parts = #filePath.split(separator: "/").dropLast(3)
    return "/" + parts.joined(separator: "/")
  }()

  /// The path of the bundle of these tests, inside the build folder.
  public static let testBundle = String(cString: test_bundle_path())

  /// The bytes of a file.
  /// - Parameter path: relative to the tree.
  public static func bytes(_ path: String) throws -> [UInt8] {
    let descriptor = open("\(tree)/\(path)", O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FixtureError(path: path, code: errno) }
    defer { close(descriptor) }
    var content: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = read(descriptor, &chunk, chunk.count)
      guard count >= 0 else { throw FixtureError(path: path, code: errno) }
      guard count > 0 else { return content }
      content += chunk[..<count]
    }
  }
}

/// A fixture that cannot be read.
public struct FixtureError: Error {
  let path: String
  let code: Int32
}
