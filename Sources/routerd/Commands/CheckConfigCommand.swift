// SPDX-License-Identifier: GPL-3.0-or-later
//
// `routerd check-config`: whether the daemon would start with this configuration.

import ArgumentParser
import RouterDaemon

struct CheckConfigCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check-config", abstract: "Checks the configuration files and says what is wrong with them.")

  @OptionGroup var options: ConfigurationOptions

  func run() async throws {
    try await verb {
      _ = try options.setup()
      print("\(options.path): the configuration is good")
    }
  }
}
