// SPDX-License-Identifier: GPL-3.0-or-later
//
// Asks the relays of the softwire, where there is a choice between several, and tells the reconciler when the one in use
// is dead while another answers. What is asked, when, and what follows from it is decided by RelayHealth; this is its
// socket and clock.

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
      while !Task.isCancelled {
        await step(&session)
        do { try await Task.sleep(for: Self.tick) } catch { return }
      }
    }
  }

  private func step(_ session: inout ProbeSession?) async {
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
    guard let findings = session?.step(at: MonotonicClock.now) else { return }
    for finding in findings {
      switch finding {
      case .answeredByAnother(let asked, let answered):
        logger.notice(
          "a probe sent through \(asked) is answered through \(answered): both relays are in use at the ISP")
      case .replace(let dead, let alive):
        await reconciler.replaceRelay(dead, reachable: alive)
      }
    }
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

  /// The probes of a softwire; nothing if there is no choice of relay or nobody to ask.
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
  private let socket: ProbeSocket
  private var health: RelayHealth
  private var probe: InnerProbe
  /// The relays that the last probes went to, by the low bits of their sequence numbers.
  private var asked: [IPv6Address?] = Array(repeating: nil, count: 64)

  init(_ subject: ProbeSubject) throws(FileError) {
    self.subject = subject
    socket = try ProbeSocket(localAddress: subject.localAddress, identifier: subject.identifier)
    health = RelayHealth(active: subject.relay, allowed: subject.allowedRelays)
    probe = InnerProbe(
      source: subject.source, target: subject.source, identifier: subject.identifier, sequence: 0,
      cookie: .random(in: 0...(.max)))
  }

  mutating func step(at now: Duration) -> [RelayHealth.Finding] {
    var findings: [RelayHealth.Finding] = []
    while let (packet, source) = socket.receive() {
      guard let sequence = probe.sequence(answeredBy: packet), let asked = asked[Int(sequence) % asked.count],
        let finding = health.answered(asked: asked, from: source, at: now)
      else { continue }
      findings.append(finding)
    }
    for relay in health.dueProbes(at: now) {
      probe.sequence &+= 1
      probe.target = subject.targets[Int(probe.sequence) % subject.targets.count]
      asked[Int(probe.sequence) % asked.count] = relay
      socket.send(probe.packet, to: relay)
    }
    if let verdict = health.verdict(at: now) { findings.append(verdict) }
    return findings
  }
}
