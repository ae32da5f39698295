// SPDX-License-Identifier: GPL-3.0-or-later
//
// `routerd plugins`: every file in the plugin search path and what became of it.

import ArgumentParser
import ControlProtocol
import RouterCore
import RouterDaemon
import RouterKit

struct PluginsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plugins", abstract: "Lists the plugins with kind, id, version, file and state.")

  @OptionGroup var options: ConfigurationOptions
  @Flag(help: "Print JSON.") var json = false

  func run() async throws {
    try await verb {
      let locator = PluginLocator(configured: try options.loadIfPresent().pluginPath)
      let set = PluginLoader(locator: locator).load()
      if json {
        print(String(decoding: try JSON.encode(set.files.map(PluginRow.init)), as: UTF8.self))
        return
      }
      guard !set.files.isEmpty else {
        throw Failure(.failure, "there is no plugin in \(locator.folders.joined(separator: ", "))")
      }
      let rows = set.files.map(PluginRow.init)
      printColumns(
        [["KIND", "ID", "VERSION", "FILE", "STATE"]]
          + rows.map { [$0.kind ?? "-", $0.id ?? "-", $0.version ?? "-", $0.file, $0.text] })
    }
  }
}

private struct PluginRow: Encodable {
  let kind: String?
  let id: String?
  let version: String?
  let file: String
  let state: String
  let reason: String?

  init(_ file: PluginFile) {
    kind = file.id.map { $0.kind == .profile ? "profile" : "dataplane" }
    id = file.id?.description
    version = file.version.isEmpty ? nil : file.version
    self.file = file.path
    switch file.state {
    case .loaded: (state, reason) = ("loaded", nil)
    case .skipped(let why): (state, reason) = ("skipped", why)
    }
  }

  var text: String { reason.map { "\(state): \($0)" } ?? state }
}
