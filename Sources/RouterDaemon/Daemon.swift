// SPDX-License-Identifier: GPL-3.0-or-later
//
// The daemon: its services and the order in which they start. Stopping leaves all kernel state: a restart is no
// interruption for the kernel's part, and a short one for user space's.

import Glibc
public import Logging
import NFTables
import Netlink
public import RouterCore
public import RouterKit
import ServiceLifecycle
import UnixSignals

/// The daemon.
public struct Daemon: Sendable {
  private let file: ConfigurationFile
  private let setup: Setup
  private let plugins: PluginSet
  private let logger: Logger

  /// Makes a daemon of a configuration that has been checked.
  public init(file: ConfigurationFile, setup: Setup, plugins: PluginSet, logger: Logger) {
    self.file = file
    self.setup = setup
    self.plugins = plugins
    self.logger = logger
  }

  /// Runs until SIGTERM or SIGINT.
  public func run() async throws {
    let lock = try InstanceLock(socket: setup.configuration.controlSocket)
    for file in plugins.files {
      if case .skipped(let reason) = file.state { logger.warning("plugin \(file.path) is skipped: \(reason)") }
    }
    if let reason = setup.dataplaneReason { logger.notice("\(reason)") }
    // Events are collected before the first look, so that nothing falls between the two.
    let monitors: [any KernelMonitor] = [try NetlinkMonitor(), try NFTablesMonitor()]
    let reconciler = Reconciler(file: file, plugins: plugins, setup: setup, logger: logger)
    let services: [any Service] = [
      ControlServer(path: setup.configuration.controlSocket, reconciler: reconciler, logger: logger),
      KernelWatcher(monitors: monitors, reconciler: reconciler, logger: logger),
      RelayProber(reconciler: reconciler, logger: logger),
      ReloadOnHangup(reconciler: reconciler),
      reconciler,
    ]
    let group = ServiceGroup(
      configuration: ServiceGroupConfiguration(
        services: services.map {
          ServiceGroupConfiguration.ServiceConfiguration(
            service: $0, successTerminationBehavior: .gracefullyShutdownGroup,
            failureTerminationBehavior: .gracefullyShutdownGroup)
        }, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
    try await group.run()
    lock.release()
  }

  /// Removes everything that a daemon with this configuration made.
  /// - Throws: if a daemon runs, which would make it all again.
  public static func teardown(_ configuration: Configuration) throws {
    let lock = try InstanceLock(socket: configuration.controlSocket)
    try Kernel.teardown(SettingsRecord(folder: configuration.stateDirectory))
    lock.release()
  }
}

/// The look at a line that verbs other than `run` take.
public enum Line {
  /// What is known of the line: the prefixes of the configuration, or those that the kernel has on the WAN interface.
  public static func facts(_ configuration: Configuration) throws -> LineFacts {
    guard configuration.wan.prefixes.isEmpty else { return LineFacts(prefixes: configuration.wan.prefixes) }
    return LineFacts(prefixes: try Kernel.observe().linePrefixes(on: configuration.wan.interface))
  }
}

/// SIGHUP reads the configuration again. A reload that fails has been logged and changes nothing.
private struct ReloadOnHangup: Service {
  let reconciler: Reconciler

  func run() async throws {
    for await _ in await UnixSignalsSequence(trapping: .sighup).cancelOnGracefulShutdown() {
      try? await reconciler.reload()
    }
  }
}
