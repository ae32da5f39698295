// SPDX-License-Identifier: GPL-3.0-or-later
//
// Where plugins and their data files are: in the folders of the configuration, else where a package installs them, else,
// when the executable itself lies in a build tree, beside it.

import Glibc

/// Finds plugin files.
public struct PluginLocator: Sendable {
  /// Where a package installs plugins.
  public static let installedFolder = "/usr/lib/routerd/plugins"

  /// The folders that are searched, in order.
  public let folders: [String]
  /// The source tree that the executable was built from, if it runs out of one.
  private let sourceTree: String?

  /// - Parameters:
  ///   - configured: the folders of the configuration; empty to find them.
  ///   - executable: the path of the running executable.
  public init(configured: [String], executable: String = Self.runningExecutable()) {
    let folder = FileSystem.parent(of: executable)
    sourceTree = Self.sourceTree(above: folder)
    if !configured.isEmpty {
      folders = configured
    } else if sourceTree != nil {
      folders = [folder]
    } else {
      folders = [Self.installedFolder]
    }
  }

  /// The path of the running executable.
  public static func runningExecutable() -> String {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink("/proc/self/exe", &buffer, buffer.count)
    return count > 0 ? String(decoding: buffer[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self) : ""
  }

  /// A build lies at most a few folders below the tree: `.build/x86_64-unknown-linux-gnu/debug`.
  private static func sourceTree(above folder: String) -> String? {
    var folder = folder
    for _ in 0..<5 where folder != "/" && folder != "." {
      if FileSystem.exists("\(folder)/Package.swift"), FileSystem.exists("\(folder)/Plugins/Profiles") { return folder }
      folder = FileSystem.parent(of: folder)
    }
    return nil
  }

  /// The shared objects in the search path, in the order of folders and names. A name in an earlier folder hides the
  /// same name in a later one.
  public func sharedObjects() -> [String] {
    var seen: Set<String> = []
    return folders.flatMap { folder in
      ((try? FileSystem.list(folder)) ?? []).sorted()
        .filter { $0.hasSuffix(".so") && seen.insert($0).inserted }
        .map { "\(folder)/\($0)" }
    }
  }

  /// The data file of a plugin: for `libNURO.so` the file `NURO.rules` beside it, or in a source tree where it is kept.
  public func dataFile(of sharedObject: String) -> String {
    var name = sharedObject[
      (sharedObject.lastIndex(of: "/").map(sharedObject.index(after:)) ?? sharedObject.startIndex)...]
    if name.hasPrefix("lib") { name = name.dropFirst(3) }
    name = name.dropLast(3)
    let beside = "\(FileSystem.parent(of: sharedObject))/\(name).rules"
    guard let sourceTree, !FileSystem.exists(beside) else { return beside }
    let inSources = "\(sourceTree)/Plugins/Profiles/\(name)/\(name).rules"
    return FileSystem.exists(inSources) ? inSources : beside
  }
}
