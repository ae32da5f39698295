// SPDX-License-Identifier: GPL-3.0-or-later
//
// The loop: observe, choose, plan, apply, and observe again until the plan is empty. It is level-triggered: whatever
// happens only says "look again", and start-up is the same loop, which adopts what is there.

import ControlProtocol
import Glibc
import Logging
import PortSetNAT
import RouterCore
import RouterKit
import ServiceLifecycle
import Systemd

actor Reconciler: Service {
  private let file: ConfigurationFile
  private let plugins: PluginSet
  private let logger: Logger
  private var setup: Setup
  private var kernel: Kernel
  private var selection: Selection?
  private var status: StatusReport
  private var hasLooked = false
  private var isFullCheck = false
  private var failuresInARow = 0
  private let triggers: AsyncStream<Void>
  private let trigger: AsyncStream<Void>.Continuation

  /// A plan that is not empty after so many rounds is being undone by somebody: better to wait than to fight.
  private static let roundLimit = 6

  init(file: ConfigurationFile, plugins: PluginSet, setup: Setup, logger: Logger) {
    self.file = file
    self.plugins = plugins
    self.setup = setup
    self.logger = logger
    kernel = Self.kernel(setup, logger)
    status = StatusReport(
      state: .waiting, reason: "the first look has not ended yet",
      requestedProfile: setup.configuration.profile.description, wan: setup.configuration.wan.interface, pid: getpid())
    (triggers, trigger) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
  }

  private static func kernel(_ setup: Setup, _ logger: Logger) -> Kernel {
    Kernel(
      dataplane: setup.dataplane.makeDataplane(log: LoggerPluginLog(logger)),
      settings: SettingsRecord(folder: setup.configuration.stateDirectory))
  }

  func run() async throws {
    lookAgain()
    for await _ in triggers.cancelOnGracefulShutdown() {
      await pass()
    }
    ServiceManager.notifyStopping()
  }

  /// Asks for another pass; several requests are one.
  func lookAgain(isFullCheck: Bool = false) {
    self.isFullCheck = self.isFullCheck || isFullCheck
    trigger.yield()
  }

  /// Reads the configuration again and goes by it.
  /// - Throws: why it cannot be used; the running configuration then stays.
  func reload() async throws {
    let next: Setup
    do {
      next = try Setup(configuration: try file.load(), plugins: plugins)
      let old = setup.configuration
      guard next.configuration.controlSocket == old.controlSocket,
        next.configuration.stateDirectory == old.stateDirectory, next.configuration.pluginPath == old.pluginPath
      else {
        throw SetupError("[control], [state] and [plugins] can only be changed by a restart")
      }
    } catch {
      logger.error("the new configuration is not used, the running one stays: \(error)")
      throw error
    }
    if next.dataplane.id != setup.dataplane.id {
      // The device of the old dataplane must be out of the way before the new one takes its name.
      try await kernel.dataplane.remove(deviceName: setup.configuration.softwire.device)
      kernel = Self.kernel(next, logger)
    }
    setup = next
    logger.info("configuration read again")
    await pass()
  }

  /// The state of the router with the counters of this moment.
  func report() -> StatusReport {
    var report = status
    report.counters = (try? kernel.counters(dataplanePrefix: setup.dataplane.id.name)) ?? [:]
    return report
  }

  /// What the NAT in use is made of.
  /// - Throws: why there is none.
  func sharedAddress() throws -> NATSpec {
    guard status.state == .up, let selection else {
      throw SetupError("no softwire is up\(status.reason.map { ": \($0)" } ?? "")")
    }
    return DesiredState(setup.configuration, softwire: selection.softwire).nat
  }

  private func pass() async {
    let retriesDuplicates = isFullCheck
    isFullCheck = false
    let outcome: Outcome
    do {
      outcome = try await reconcile(retriesDuplicates: retriesDuplicates)
      failuresInARow = 0
    } catch {
      outcome = Outcome(state: .failed, reason: "\(error)")
      retryLater()
    }
    publish(outcome)
    if !hasLooked {
      hasLooked = true
      logger.notice("ready")
      ServiceManager.notifyReady(status: status.summary)
    }
  }

  /// What a pass came to.
  private struct Outcome {
    var state: StatusReport.State
    var reason: String?
    var prefixes: [IPv6Prefix] = []
    var devices: [String] = []
    var warnings: [String] = []
  }

  private func reconcile(retriesDuplicates: Bool) async throws -> Outcome {
    let configuration = setup.configuration
    let device = configuration.softwire.device
    var observed = try await kernel.observe(deviceName: device)
    let prefixes =
      configuration.wan.prefixes.isEmpty
      ? observed.linePrefixes(on: configuration.wan.interface) : configuration.wan.prefixes
    let selection: Selection
    do throws(SelectionError) {
      selection = try setup.catalog.select(
        configuration.profile, facts: LineFacts(prefixes: prefixes), settings: configuration.profileSettings,
        relay: self.selection?.softwire.relay)
    } catch {
      // A prefix that went away comes back or is followed by another; nothing is taken down for that.
      let state: StatusReport.State = prefixes.isEmpty ? .waiting : .refused
      return Outcome(state: state, reason: error.description, prefixes: prefixes)
    }
    if let obstacle = selection.obstacle {
      return Outcome(state: .refused, reason: obstacle.description, prefixes: prefixes)
    }
    try checkCapabilities(for: selection)
    let desired = DesiredState(configuration, softwire: selection.softwire)
    self.selection = selection
    var plan = Plan(desired: desired, observed: observed, retriesDuplicates: retriesDuplicates)
    for _ in 0..<Self.roundLimit where !plan.changes.isEmpty {
      for change in plan.changes {
        logger.debug("\(change.summary)")
        try await kernel.apply(change, observed: observed)
      }
      observed = try await kernel.observe(deviceName: device)
      plan = Plan(desired: desired, observed: observed)
    }
    guard plan.changes.isEmpty else {
      throw UnstableState(changes: plan.changes.map(\.summary))
    }
    var warnings = desired.nat.problems + plan.warnings
    if configuration.profileSettings.usesMesh, desired.tunnel.forwardingRules.isEmpty {
      warnings.append("mesh is on, but no rule of the profile \(selection.profile.id.name) is known to allow it")
    }
    let state: StatusReport.State = plan.obstacle != nil ? .failed : plan.waitingFor != nil ? .waiting : .up
    return Outcome(
      state: state, reason: plan.obstacle ?? plan.waitingFor, prefixes: prefixes,
      devices: observed.tunnel?.deviceNames ?? [], warnings: warnings)
  }

  private func checkCapabilities(for selection: Selection) throws {
    let needed: DataplaneCapabilities =
      switch selection.softwire {
      case .mapE: .mapE
      case .dsLite: .dsLite
      }
    guard setup.dataplane.capabilities.contains(needed) else {
      throw SetupError(
        "the dataplane \(setup.dataplane.id.name) cannot carry what the profile \(selection.profile.id.name) needs")
    }
  }

  /// 250 ms, doubled with every failure up to 30 s.
  private func retryLater() {
    let delay = min(Duration.milliseconds(250) * (1 << min(failuresInARow, 7)), .seconds(30))
    failuresInARow += 1
    let trigger = trigger
    Task {
      try? await Task.sleep(for: delay)
      trigger.yield()
    }
  }

  private func publish(_ outcome: Outcome) {
    let old = status
    let configuration = setup.configuration
    status = StatusReport(
      state: outcome.state, reason: outcome.reason, requestedProfile: configuration.profile.description,
      wan: configuration.wan.interface, pid: getpid())
    status.prefixes = outcome.prefixes.map(\.description)
    status.dataplane = setup.dataplane.id.name
    status.warnings = outcome.warnings
    if outcome.state == .up, let selection {
      status.profile = selection.profile.id.name
      status.softwire = SoftwireReport(
        selection.softwire, devices: outcome.devices, mtu: configuration.softwire.mtu)
    }
    guard status != old else { return }
    for warning in status.warnings where !old.warnings.contains(warning) { logger.warning("\(warning)") }
    // One line for each transition, not for each pass that finds the same.
    if (status.state, status.reason, status.softwire) != (old.state, old.reason, old.softwire) {
      let level: Logger.Level = status.state == .up || status.state == .waiting ? .notice : .error
      logger.log(level: level, "\(status.summary)")
      ServiceManager.notify(status: status.summary)
    }
  }
}

/// The kernel state did not come to rest.
private struct UnstableState: Error, CustomStringConvertible {
  let changes: [String]

  var description: String {
    "something else keeps changing what routerd sets; still to do: \(changes.joined(separator: ", "))"
  }
}
