// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the verbs share: the place of the configuration, exit codes, and how an error is told.

import ArgumentParser
import Glibc
import RouterCore
import RouterDaemon

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
  fputs("routerd: \(message)\n", stderr)
}
