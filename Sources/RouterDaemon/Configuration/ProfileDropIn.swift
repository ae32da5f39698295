// SPDX-License-Identifier: GPL-3.0-or-later
//
// The file by which `routerd profile set` outlives a restart. It holds this one key; files of other people are never
// written to.

public import RouterCore

/// The drop-in file with the chosen profile.
public struct ProfileDropIn: Sendable {
  private let folder: String

  /// The path of the file. Its number lets files of the operator come before or behind it.
  public var path: String { "\(folder)/50-profile.toml" }

  /// The drop-in file of a configuration.
  public init(_ file: ConfigurationFile) {
    folder = file.dropInFolder
  }

  /// Writes the file.
  /// - Throws: a sentence about the file if it cannot be written.
  public func write(_ choice: ProfileChoice) throws {
    try FileSystem.makeFolder(folder, mode: 0o755)
    try FileSystem.replace(
      path, with: "# Written by “routerd profile set”.\nprofile = \"\(choice)\"\n", mode: 0o644)
  }
}
