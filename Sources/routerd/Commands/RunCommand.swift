// SPDX-License-Identifier: GPL-3.0-or-later
//
// `routerd run`: the daemon, in the foreground.

import ArgumentParser
import Logging
import RouterDaemon

struct RunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Runs the daemon in the foreground until SIGTERM.",
    discussion: "On stop all kernel state stays, so that traffic goes on; routerd teardown removes it.")

  @OptionGroup var options: ConfigurationOptions
  @Option(help: "The least important messages that are logged: debug, info, notice, warning or error.")
  var logLevel: LogLevel = .info

  func run() async throws {
    try await verb {
      let (setup, plugins) = try options.setup()
      let logger = makeLogger(logLevel.level)
      do {
        try await Daemon(file: options.file, setup: setup, plugins: plugins, logger: logger).run()
      } catch {
        throw Failure(.failure, "\(error)")
      }
    }
  }
}

enum LogLevel: String, ExpressibleByArgument, CaseIterable {
  case debug, info, notice, warning, error

  var level: Logger.Level {
    switch self {
    case .debug: .debug
    case .info: .info
    case .notice: .notice
    case .warning: .warning
    case .error: .error
    }
  }
}
