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
  private var prefixes: [IPv6Prefix] = []
  private var hasLooked = false
  private var isFullCheck = false
  private var failuresInARow = 0
  private var retry: Task<Void, Never>?
  private var pacer = RepairPacer()
  /// The state that the kernel has come to rest in: what differs from it later was changed by somebody else.
  private var settled: DesiredState?
  /// What routerd itself has heard of the line.
  private var line = LineState()
  /// What the learned rule sources said; nothing if nobody asks them.
  private var book: RuleBook?
  /// Why this router must not run a softwire although it could: somebody in front does.
  private var competitor: String?
  /// Those who want to know when there may be something new to ask for.
  private var listeners: [AsyncStream<Void>.Continuation] = []
  /// The relays that answer, where somebody has looked.
  private var reachableRelays: Set<IPv6Address> = []
  /// What the prober found out last.
  private var relayWatch: RelayWatch?
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

  /// - Parameter learns: whether somebody asks the learned rule sources and tells the answers; if not, they count as
  ///   absent and are not waited for.
  init(file: ConfigurationFile, plugins: PluginSet, setup: Setup, learns: Bool = false, logger: Logger) {
    self.file = file
    book = learns ? RuleBook() : nil
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

  /// The configuration in use.
  func configuration() -> Configuration {
    setup.configuration
  }

  /// Says "look again" after every pass: configuration, line or softwire may have changed.
  func passes() -> AsyncStream<Void> {
    let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    listeners.append(continuation)
    continuation.yield()
    return stream
  }

  /// Takes over what was heard of the line.
  func lineChanged(_ line: LineState) {
    guard line != self.line else { return }
    for source: RuleSource in [.dhcpv6S46, .dhcpv6AFTR] { book?[source] = line.answers[source] }
    self.line = line
    lookAgain()
  }

  /// What has to be asked for, and of whom.
  func learningWish() -> LearningWish {
    let configuration = setup.configuration
    let sources = setup.catalog.learnedSources(configuration.profile, settings: configuration.profileSettings)
    return LearningWish(
      sources: (book?.wanted(for: sources) ?? []).subtracting([.dhcpv6S46, .dhcpv6AFTR]),
      interface: configuration.wan.interface,
      resolvers: configuration.wan.resolvers.isEmpty ? line.resolvers : configuration.wan.resolvers,
      prefixes: prefixes, softwire: settled == nil ? nil : selection?.softwire,
      provisioning: configuration.provisioning, fixedIPUpdateFile: configuration.fixedIPUpdateFile)
  }

  /// Takes over what a source said.
  func learned(_ source: RuleSource, _ answer: RuleBook.Answer) {
    guard book?[source] != answer else { return }
    book?[source] = answer
    if case .failed(let reason) = answer {
      logger.info("no rules by \(source): \(reason)")
    } else {
      logger.info("rules by \(source)")
    }
    lookAgain()
  }

  /// Takes over whether somebody in front of this router runs the softwire.
  /// - Parameter competitor: who, as the beginning of a sentence; nothing if nobody does.
  func competitorChanged(_ competitor: String?) {
    guard competitor != self.competitor else { return }
    self.competitor = competitor
    lookAgain()
  }

  /// The state of the router with the counters of this moment.
  func report() -> StatusReport {
    var report = status
    report.counters = (try? kernel.counters(dataplanePrefix: setup.dataplane.id.name)) ?? [:]
    if let relayWatch, relayWatch.subject == probeSubject() {
      report.relays = relayWatch.reports(at: MonotonicClock.now)
      if let trouble = relayWatch.trouble { report.warnings.append(trouble.description) }
    }
    return report
  }

  /// What the relays are to be asked about, while the softwire is up.
  func probeSubject() -> ProbeSubject? {
    settled.flatMap { ProbeSubject($0, targets: setup.configuration.probeTargets) }
  }

  /// Takes note of what is known of the relays.
  func note(_ watch: RelayWatch) {
    relayWatch = watch
  }

  /// Moves to another relay, because the one in use is dead and others answer.
  /// - Parameter answersEcho: whether the dead one answers echo requests, as far as that is known.
  func replaceRelay(_ dead: IPv6Address, answersEcho: Bool?, reachable: Set<IPv6Address>) {
    guard selection?.softwire.relay == dead else { return }
    let answering = reachable.sorted().map(\.description).joined(separator: ", ")
    let echo = answersEcho.map { $0 ? "; the dead one still answers echo" : "; the dead one answers no echo either" }
    logger.warning(
      """
      nothing comes back through the border relay \(dead), while \(answering) answers: traffic moves there\(echo ?? "")
      """)
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
    prefixes = outcome.prefixes
    publish(outcome)
    for listener in listeners { listener.yield() }
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
    let lineWarnings = try await manageLine(&observed)
    let prefixes = linePrefixes(observed)
    let selection: Selection
    do throws(SelectionError) {
      selection = try setup.catalog.select(
        configuration.profile, facts: LineFacts(prefixes: prefixes), settings: configuration.profileSettings,
        book: book, relays: RelayKnowledge(current: self.selection?.softwire.relay, reachable: reachableRelays))
    } catch {
      // A prefix that went away comes back or is followed by another; nothing is taken down for that.
      guard prefixes.isEmpty else {
        return Outcome(
          state: error.isAnswerAwaited ? .waiting : .refused, reason: error.description, prefixes: prefixes,
          warnings: lineWarnings)
      }
      let isThere = observed.link(named: configuration.wan.interface) != nil
      return Outcome(
        state: .waiting,
        reason: isThere ? error.description : "there is no interface \(configuration.wan.interface)",
        warnings: lineWarnings)
    }
    if let competitor, case .mapE = selection.softwire {
      return Outcome(
        state: .refused,
        reason: "\(competitor) runs MAP-E for this line itself: turn it off there, or leave IPv4 to it",
        prefixes: prefixes, warnings: lineWarnings)
    }
    if let obstacle = selection.obstacle {
      return Outcome(state: .refused, reason: obstacle.description, prefixes: prefixes)
    }
    try checkCapabilities(for: selection)
    let desired = DesiredState(
      configuration, softwire: selection.softwire, deviceNames: setup.dataplane.deviceNames(for:))
    self.selection = selection
    observed.tunnel = try await kernel.dataplane.observe(desired.tunnel)
    let reclaims = settled == desired
    var plan = Plan(
      desired: desired, observed: observed, retriesDuplicates: retriesDuplicates, reclaims: reclaims)
    let repaired = reclaims ? plan.changes.map { Repair($0, observed: observed) } : []
    var attempts: [KernelChange: Int] = [:]
    for _ in 0..<Self.roundLimit where !plan.changes.isEmpty {
      for change in plan.changes {
        logger.debug("\(change.summary)")
        try await kernel.apply(change, observed: observed)
        attempts[change, default: 0] += 1
      }
      observed = try await kernel.observe(desired.tunnel)
      plan = Plan(desired: desired, observed: observed, reclaims: reclaims)
      if plan.changes.contains(where: { attempts[$0, default: 0] >= Self.attemptLimit }) { break }
    }
    guard plan.changes.isEmpty else {
      throw UnstableState(changes: plan.changes.map(\.summary))
    }
    var warnings = lineWarnings + desired.nat.problems + plan.warnings
    if configuration.profileSettings.usesMesh, desired.tunnel.forwardingRules.isEmpty {
      warnings.append("mesh is on, but no rule of the profile \(selection.profile.id.name) is known to allow it")
    }
    settled = plan.waitingFor == nil && plan.obstacle == nil ? desired : nil
    let state: StatusReport.State = plan.obstacle != nil ? .failed : plan.waitingFor != nil ? .waiting : .up
    return Outcome(
      state: state, reason: plan.obstacle ?? plan.waitingFor, prefixes: prefixes,
      devices: observed.tunnel?.deviceNames ?? [], warnings: warnings, repaired: repaired)
  }

  /// Where routerd runs the line: puts its addresses and routes right.
  /// - Returns: what should be looked at.
  private func manageLine(_ observed: inout ObservedState) async throws -> [String] {
    let wan = setup.configuration.wan
    let isManaged = wan.mode == .manage
    // Until enough was heard, what an earlier run left is the best there is.
    guard !isManaged || line.isSettled else { return line.warnings }
    func plan(_ observed: ObservedState) -> LinePlan? {
      guard isManaged else { return LinePlan(desired: nil, observed: observed) }
      return DesiredLine(line, interface: wan.interface, gateway: wan.gateway, observed: observed)
        .map { LinePlan(desired: $0, observed: observed) }
    }
    var warnings = line.warnings
    if let plan = plan(observed) {
      warnings += plan.warnings
      for change in plan.changes {
        logger.debug("\(change.summary)")
        try await kernel.apply(change, observed: observed)
      }
      if !plan.changes.isEmpty { observed = try Kernel.observe() }
    }
    return warnings
  }

  private func linePrefixes(_ observed: ObservedState) -> [IPv6Prefix] {
    let wan = setup.configuration.wan
    guard wan.prefixes.isEmpty else { return wan.prefixes }
    return wan.mode == .manage ? line.softwirePrefixes : observed.linePrefixes(on: wan.interface)
  }

  private func checkCapabilities(for selection: Selection) throws {
    let needed: DataplaneCapabilities =
      switch selection.softwire {
      case .mapE, .fixedIP: .mapE
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
    status.line = LineReport(line, mode: configuration.wan.mode)
    if let book {
      status.sources = setup.catalog.learnedSources(configuration.profile, settings: configuration.profileSettings)
        .map { SourceReport($0, book.answer(of: $0)) }.sorted { $0.name < $1.name }
    }
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
