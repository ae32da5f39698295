// SPDX-License-Identifier: GPL-3.0-or-later
//
// `routerd teardown`: removes what the daemon made, and nothing else.

import ArgumentParser
import RouterDaemon

struct TeardownCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "teardown", abstract: "Removes everything that a stopped daemon left in the kernel.")

  @OptionGroup var options: ConfigurationOptions

  func run() async throws {
    try await verb {
      let configuration = try options.load()
      do {
        try Daemon.teardown(configuration)
      } catch {
        throw Failure(.failure, "\(error)")
      }
    }
  }
}
