// SPDX-License-Identifier: GPL-3.0-or-later
//
// Asks the relays of the softwire, keeps the reconciler informed, and tells it when the one in use is dead while another
// carries. When nothing comes back at all, the journal gets one line, and one when that is over. What is asked, when,
// and what follows from it is decided by RelayHealth; this is its sockets and clock.

import Logging
import PortSetNAT
import RouterCore
import RouterKit
import ServiceLifecycle

struct RelayProber: Service {
  let reconciler: Reconciler
  let logger: Logger

  private static let tick = Duration.milliseconds(200)

  func run() async throws {
    await cancelWhenGracefulShutdown {
      var session: ProbeSession?
      var trouble: RelayTrouble?
      while !Task.isCancelled {
        await step(&session, &trouble)
        do { try await Task.sleep(for: Self.tick) } catch { return }
      }
    }
  }

  /// - Parameter trouble: what was said last. It outlives a session: a softwire that was put right, or moved to another
  ///   relay, begins a new one, and that is no news.
  private func step(_ session: inout ProbeSession?, _ trouble: inout RelayTrouble?) async {
    guard let subject = await reconciler.probeSubject() else {
      session = nil
      return
    }
    if session == nil || session?.subject != subject {
      do {
        session = try ProbeSession(subject)
      } catch {
        logger.debug("relays are not probed: \(error)")
        session = nil
        return
      }
    }
    let now = MonotonicClock.now
    guard let findings = session?.step(at: now), let health = session?.health else { return }
    if trouble?.subject.localAddress != subject.localAddress { trouble = nil }
    assess(health, subject, at: now, &trouble)
    await reconciler.note(RelayWatch(subject: subject, health: health, trouble: trouble))
    for finding in findings {
      switch finding {
      case .answeredByAnother(let asked, let answered):
        logger.notice(
          "a probe sent through \(asked) is answered through \(answered): both relays are in use at the ISP")
      case .replace(let dead, let answersEcho, let alive):
        await reconciler.replaceRelay(dead, answersEcho: answersEcho, reachable: alive)
      }
    }
  }

  private func assess(
    _ health: RelayHealth, _ subject: ProbeSubject, at now: Duration, _ trouble: inout RelayTrouble?
  ) {
    let assessment = health.assessment(at: now)
    guard assessment != .undecided else { return }
    let found = RelayTrouble(assessment, health, subject, at: now)
    if let found, found.assessment != trouble?.assessment {
      logger.warning("\(found.description)")
    } else if found == nil, trouble != nil {
      logger.notice("packets come back through the relay \(health.active) again")
    }
    trouble = found
  }
}

/// What is probed.
struct ProbeSubject: Hashable, Sendable {
  let localAddress: IPv6Address
  let relay: IPv6Address
  let allowedRelays: [IPv6Address]
  let source: IPv4Address
  let identifier: UInt16
  let targets: [IPv4Address]

  /// The probes of a softwire; nothing if there is nobody to ask.
  init?(_ desired: DesiredState, targets: [IPv4Address]) {
    guard desired.nat.isProbed else { return nil }
    localAddress = desired.tunnel.localAddress
    relay = desired.tunnel.relay
    allowedRelays = desired.tunnel.allowedRelays
    source = desired.ipv4Address
    identifier = desired.nat.probeIdentifier
    self.targets = targets
  }
}

/// The probing of one softwire.
private struct ProbeSession: ~Copyable {
  let subject: ProbeSubject
  private(set) var health: RelayHealth
  private let inner: RawSocket
  private let outer: RawSocket
  private var probe: InnerProbe
  private var echo: OuterEcho
  /// The relays that the last probes went to, by the low bits of their sequence numbers.
  private var asked: [IPv6Address?] = Array(repeating: nil, count: 64)
  /// When the last echo requests were sent, likewise.
  private var echoRequests: [Duration?] = Array(repeating: nil, count: 64)

  init(_ subject: ProbeSubject) throws(FileError) {
    let cookie = UInt64.random(in: 0...(.max))
    let echo = OuterEcho(identifier: .random(in: 0...(.max)), sequence: 0, cookie: cookie)
    let inner = try RawSocket.innerProbes(localAddress: subject.localAddress, identifier: subject.identifier)
    let outer = try RawSocket.outerEchoes(localAddress: subject.localAddress, identifier: echo.identifier)
    self.subject = subject
    health = RelayHealth(active: subject.relay, allowed: subject.allowedRelays)
    probe = InnerProbe(
      source: subject.source, target: subject.source, identifier: subject.identifier, sequence: 0, cookie: cookie)
    self.echo = echo
    self.inner = inner
    self.outer = outer
  }

  mutating func step(at now: Duration) -> [RelayHealth.Finding] {
    var findings = takeAnswers(at: now)
    for relay in health.dueProbes(at: now) {
      probe.sequence &+= 1
      probe.target = subject.targets[Int(probe.sequence) % subject.targets.count]
      asked[Int(probe.sequence) % asked.count] = relay
      inner.send(probe.packet, to: relay)
    }
    for relay in health.dueEchoes(at: now) {
      echo.sequence &+= 1
      echoRequests[Int(echo.sequence) % echoRequests.count] = now
      outer.send(echo.message, to: relay)
    }
    if let verdict = health.verdict(at: now) { findings.append(verdict) }
    return findings
  }

  private mutating func takeAnswers(at now: Duration) -> [RelayHealth.Finding] {
    var findings: [RelayHealth.Finding] = []
    while let (packet, source) = inner.receive() {
      guard let sequence = probe.sequence(answeredBy: packet), let asked = asked[Int(sequence) % asked.count],
        let finding = health.answered(asked: asked, from: source, at: now)
      else { continue }
      findings.append(finding)
    }
    while let (message, source) = outer.receive() {
      guard let sequence = echo.sequence(answeredBy: message),
        let request = echoRequests[Int(sequence) % echoRequests.count]
      else { continue }
      health.echoed(source, request: request, at: now)
    }
    return findings
  }
}
