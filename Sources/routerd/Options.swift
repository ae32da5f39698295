// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the verbs share: the place of the configuration, exit codes, and how an error is told.

import ArgumentParser
import ControlProtocol
import Glibc
import Logging
import RouterCore
import RouterDaemon
import RouterKit

struct ConfigurationOptions: ParsableArguments {
  @Option(name: .customLong("config"), help: "The main configuration file; conf.d lies beside it.")
  var path: String = ConfigurationFile.installed.path

  var file: ConfigurationFile { ConfigurationFile(path: path) }

  /// The configuration, or the end of the process with its error.
  func load() throws -> Configuration {
    do {
      return try file.load()
    } catch {
      throw Failure(.configuration, error.description)
    }
  }

  /// As ``load()``, but a machine without any configuration has the defaults: verbs that only calculate need none.
  func loadIfPresent() throws -> Configuration {
    guard path != ConfigurationFile.installed.path || access(path, F_OK) == 0 else { return Configuration() }
    return try load()
  }
}

extension ConfigurationOptions {
  /// The plugins of the configuration's search path.
  func plugins(_ configuration: Configuration) -> PluginSet {
    PluginLoader(locator: PluginLocator(configured: configuration.pluginPath)).load()
  }

  /// Configuration and plugins as the daemon starts with them.
  func setup() throws -> (Setup, PluginSet) {
    let configuration = try load()
    let plugins = plugins(configuration)
    do {
      return (try Setup(configuration: configuration, plugins: plugins), plugins)
    } catch {
      throw Failure(.configuration, "\(path): \(error)")
    }
  }

  /// What is known of the line.
  func facts(_ configuration: Configuration) throws(Failure) -> LineFacts {
    do {
      return try Line.facts(configuration)
    } catch {
      throw Failure(.failure, "the line cannot be looked at: \(error)")
    }
  }

  /// The status after a request; nothing if no daemon runs.
  func tellDaemon(_ request: ControlRequest, configuration: Configuration) throws -> StatusReport? {
    try send(request, configuration: configuration)?.status
  }

  /// Who uses which ports, from the daemon, which must run.
  func askDaemonForPorts(configuration: Configuration) throws -> PortsReport {
    guard let report = try send(.ports, configuration: configuration)?.ports else {
      throw Failure(.failure, "no daemon runs at \(configuration.controlSocket)")
    }
    return report
  }

  private func send(_ request: ControlRequest, configuration: Configuration) throws -> ControlReply? {
    do throws(ControlError) {
      guard let reply = try ControlClient(path: configuration.controlSocket).send(request) else { return nil }
      if let error = reply.error { throw ControlError(description: "the daemon refuses: \(error)") }
      return reply
    } catch {
      throw Failure(.failure, error.description)
    }
  }

  /// The status after a request to the daemon, which must run.
  func askDaemon(_ request: ControlRequest, configuration: Configuration) throws -> StatusReport {
    guard let status = try tellDaemon(request, configuration: configuration) else {
      throw Failure(.failure, "no daemon runs at \(configuration.controlSocket)")
    }
    return status
  }
}

/// The exit codes of the command line, besides 0 and those of the argument parser (64: wrong usage).
enum ExitStatus: Int32 {
  /// It did not work.
  case failure = 1
  /// An argument is wrong.
  case badArgument = 2
  /// No mapping rule matches.
  case noMatchingRule = 3
  /// The configuration is wrong (EX_CONFIG); the unit does not restart after it.
  case configuration = 78
}

/// Ends a verb with a sentence on standard error and an exit code.
struct Failure: Error {
  let status: ExitStatus
  let message: String

  init(_ status: ExitStatus, _ message: String) {
    self.status = status
    self.message = message
  }
}

/// Runs the body of a verb and turns its failure into text and exit code.
func verb(_ body: () async throws -> Void) async throws {
  do {
    try await body()
  } catch let failure as Failure {
    printError(failure.message)
    throw ExitCode(failure.status.rawValue)
  }
}

func printError(_ message: String) {
  let line = Array("routerd: \(message)\n".utf8)
  write(STDERR_FILENO, line, line.count)
}

/// The log: lines on standard error, which the service manager puts into the journal.
func makeLogger(_ level: Logger.Level) -> Logger {
  var logger = Logger(label: "routerd") { ConsoleLogHandler(label: $0) }
  logger.logLevel = level
  return logger
}
