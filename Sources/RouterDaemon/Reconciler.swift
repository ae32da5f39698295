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
  private var retry: Task<Void, Never>?
  private var pacer = RepairPacer()
  /// The state that the kernel has come to rest in: what differs from it later was changed by somebody else.
  private var settled: DesiredState?
  /// The relays that answer, where somebody has looked.
  private var reachableRelays: Set<IPv6Address> = []
  /// A pass and a reload each have kernel and dataplane to themselves.
  private let turns = Turns()
  private let triggers: AsyncStream<Void>
  private let trigger: AsyncStream<Void>.Continuation

  /// A plan that is not empty after so many rounds is being undone by somebody: better to wait than to fight.
  private static let roundLimit = 6
  /// So is one that has a change in it which was made so often in this pass.
  private static let attemptLimit = 2
  /// The least time between two passes that fail: what a failing pass does to the kernel may itself be an event.
  private static let failurePause = Duration.milliseconds(250)

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
      await pause()
      await turns.take { await self.pass() }
      if failuresInARow > 0 { try? await Task.sleep(for: Self.failurePause) }
    }
    retry?.cancel()
    ServiceManager.notifyStopping()
  }

  /// Waits until the next look may be taken.
  private func pause() async {
    let now = MonotonicClock.now
    let delay = pacer.nextLook(after: now) - now
    if delay > .zero { try? await Task.sleep(for: delay) }
  }

  /// Asks for another pass; several requests are one.
  func lookAgain(isFullCheck: Bool = false) {
    self.isFullCheck = self.isFullCheck || isFullCheck
    trigger.yield()
  }

  /// Reads the configuration again and goes by it.
  /// - Throws: why it cannot be used; the running configuration then stays.
  func reload() async throws {
    try await turns.take { try await self.takeOverConfiguration() }
  }

  private func takeOverConfiguration() async throws {
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
    if let reason = next.dataplaneReason, reason != setup.dataplaneReason { logger.notice("\(reason)") }
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

  /// What the relays are to be asked about, while the softwire is up.
  func probeSubject() -> ProbeSubject? {
    settled.flatMap { ProbeSubject($0, targets: setup.configuration.probeTargets) }
  }

  /// Moves to another relay, because the one in use is dead and others answer.
  func replaceRelay(_ dead: IPv6Address, reachable: Set<IPv6Address>) {
    guard selection?.softwire.relay == dead else { return }
    let answering = reachable.sorted().map(\.description).joined(separator: ", ")
    logger.warning(
      "nothing comes back through the border relay \(dead), while \(answering) answers: traffic moves there")
    reachableRelays = reachable
    lookAgain()
  }

  /// What the NAT in use is made of.
  /// - Throws: why there is none.
  func sharedAddress() throws -> NATSpec {
    guard let settled else {
      throw SetupError("no softwire is up\(status.reason.map { ": \($0)" } ?? "")")
    }
    return settled.nat
  }

  private func pass() async {
    let retriesDuplicates = isFullCheck
    isFullCheck = false
    let outcome: Outcome
    do {
      outcome = try await reconcile(retriesDuplicates: retriesDuplicates)
      failuresInARow = 0
      retry?.cancel()
      note(outcome.repaired)
    } catch {
      outcome = Outcome(state: .failed, reason: "\(error)")
      retryLater()
      if let fight = error as? UnstableState { note(fight) } else { note([]) }
    }
    publish(outcome)
    if !hasLooked {
      hasLooked = true
      logger.notice("ready")
      ServiceManager.notifyReady(status: status.summary)
    }
  }

  private func note(_ repaired: [Repair]) {
    let what = repaired.map(\.change.summary).joined(separator: ", ")
    if pacer.looked(at: MonotonicClock.now, repaired: repaired) {
      reportFight(over: what)
    } else if !repaired.isEmpty, !pacer.isSlowedDown {
      logger.notice("put right what something else had changed: \(what)")
    }
  }

  private func note(_ fight: UnstableState) {
    if pacer.gaveUp(at: MonotonicClock.now) { reportFight(over: fight.changes.joined(separator: ", ")) }
  }

  private func reportFight(over what: String) {
    logger.warning("something else keeps undoing what routerd sets (\(what)): it is put right ever more rarely now")
  }

  /// What a pass came to.
  private struct Outcome {
    var state: StatusReport.State
    var reason: String?
    var prefixes: [IPv6Prefix] = []
    var devices: [String] = []
    var warnings: [String] = []
    /// What somebody else had changed.
    var repaired: [Repair] = []
  }

  private func reconcile(retriesDuplicates: Bool) async throws -> Outcome {
    let configuration = setup.configuration
    var observed = try Kernel.observe()
    let prefixes =
      configuration.wan.prefixes.isEmpty
      ? observed.linePrefixes(on: configuration.wan.interface) : configuration.wan.prefixes
    let selection: Selection
    do throws(SelectionError) {
      selection = try setup.catalog.select(
        configuration.profile, facts: LineFacts(prefixes: prefixes), settings: configuration.profileSettings,
        relays: RelayKnowledge(current: self.selection?.softwire.relay, reachable: reachableRelays))
    } catch {
      // A prefix that went away comes back or is followed by another; nothing is taken down for that.
      guard prefixes.isEmpty else { return Outcome(state: .refused, reason: error.description, prefixes: prefixes) }
      let isThere = observed.link(named: configuration.wan.interface) != nil
      return Outcome(
        state: .waiting,
        reason: isThere ? error.description : "there is no interface \(configuration.wan.interface)")
    }
    if let obstacle = selection.obstacle {
      return Outcome(state: .refused, reason: obstacle.description, prefixes: prefixes)
    }
    try checkCapabilities(for: selection)
    let desired = DesiredState(
      configuration, softwire: selection.softwire, deviceNames: setup.dataplane.deviceNames(for:))
    self.selection = selection
    observed.tunnel = try await kernel.dataplane.observe(desired.tunnel)
    var plan = Plan(desired: desired, observed: observed, retriesDuplicates: retriesDuplicates)
    let repaired = settled == desired ? plan.changes.map { Repair($0, observed: observed) } : []
    var attempts: [KernelChange: Int] = [:]
    for _ in 0..<Self.roundLimit where !plan.changes.isEmpty {
      for change in plan.changes {
        logger.debug("\(change.summary)")
        try await kernel.apply(change, observed: observed)
        attempts[change, default: 0] += 1
      }
      observed = try await kernel.observe(desired.tunnel)
      plan = Plan(desired: desired, observed: observed)
      if plan.changes.contains(where: { attempts[$0, default: 0] >= Self.attemptLimit }) { break }
    }
    guard plan.changes.isEmpty else {
      throw UnstableState(changes: plan.changes.map(\.summary))
    }
    var warnings = desired.nat.problems + plan.warnings
    if configuration.profileSettings.usesMesh, desired.tunnel.forwardingRules.isEmpty {
      warnings.append("mesh is on, but no rule of the profile \(selection.profile.id.name) is known to allow it")
    }
    settled = plan.waitingFor == nil && plan.obstacle == nil ? desired : nil
    let state: StatusReport.State = plan.obstacle != nil ? .failed : plan.waitingFor != nil ? .waiting : .up
    return Outcome(
      state: state, reason: plan.obstacle ?? plan.waitingFor, prefixes: prefixes,
      devices: observed.tunnel?.deviceNames ?? [], warnings: warnings, repaired: repaired)
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

  /// 250 ms, doubled with every failure up to 30 s. One retry is waiting at most, however many events failed, too.
  private func retryLater() {
    let delay = min(Self.failurePause * (1 << min(failuresInARow, 7)), .seconds(30))
    failuresInARow += 1
    retry?.cancel()
    let trigger = trigger
    retry = Task {
      do { try await Task.sleep(for: delay) } catch { return }
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
