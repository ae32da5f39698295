// SPDX-License-Identifier: GPL-3.0-or-later
//
// The plugins of the build that these tests belong to, and folders with other plugins for the loader to look at.

import Glibc
import RouterDaemon
import RouterKit
import TestSupport

enum BuildFolder {
  /// Where the test bundle lies; the plugins of the same build lie beside it.
  static let path: String = {
    let file = Fixture.testBundle
    return file.lastIndex(of: "/").map { String(file[..<$0]) } ?? "."
  }()

  /// The plugins of this build. Their rule tables are found in the tree, as they are for an executable beside them.
  static let plugins = PluginLoader(locator: PluginLocator(configured: [], executable: "\(path)/routerd")).load()
}

/// A folder that is removed with the value.
final class TemporaryFolder {
  let path: String

  init() throws {
    var template = Array("/tmp/routerd-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw FolderError(code: errno) }
    path = String(decoding: template.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  deinit {
    _ = try? shell("rm -r '\(path)'")
  }

  /// Writes a file below the folder and returns its path.
  @discardableResult
  func write(_ name: String, _ text: String) throws -> String {
    let file = "\(path)/\(name)"
    guard let stream = fopen(file, "w") else { throw FolderError(code: errno) }
    let bytes = Array(text.utf8)
    fwrite(bytes, 1, bytes.count, stream)
    fclose(stream)
    return file
  }

  /// Builds a shared object in C, which is all that the gate before the Swift code looks at.
  func buildPlugin(_ name: String, flags: String = "", source: String) throws {
    try write("\(name).c", "#include <routerd_plugin.h>\n\(source)\n")
    try shell(
      "clang -shared -fPIC \(flags) -I '\(Fixture.tree)/Sources/RouterKit/CRouterPlugin/include' "
        + "-o '\(path)/lib\(name).so' '\(path)/\(name).c'")
  }
}

struct FolderError: Error {
  let code: Int32
}
