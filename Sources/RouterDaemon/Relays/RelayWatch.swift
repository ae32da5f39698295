// SPDX-License-Identifier: GPL-3.0-or-later
//
// What is known of the relays, for people: one report for each in the status, and a sentence if nothing comes back.

import ControlProtocol
import RouterCore
import RouterKit

/// What the prober found out.
struct RelayWatch: Sendable {
  let subject: ProbeSubject
  let health: RelayHealth
  let trouble: RelayTrouble?

  /// A report for each relay, the one in use first.
  func reports(at now: Duration) -> [RelayReport] {
    health.relays.sorted { ($0.key != health.active ? 1 : 0, $0.key) < ($1.key != health.active ? 1 : 0, $1.key) }.map {
      address, relay in
      RelayReport(
        address: address.description, isInUse: address == health.active,
        secondsSinceAnswer: relay.lastAnswer.map { (now - $0).inSeconds },
        secondsSinceEcho: relay.lastEcho.map { (now - $0).inSeconds }, answersEcho: relay.answersEcho(at: now))
    }
  }
}

/// That nothing comes back, and how far packets get.
struct RelayTrouble: Sendable, CustomStringConvertible {
  let assessment: RelayHealth.Assessment
  let subject: ProbeSubject
  /// A sentence.
  let description: String

  /// Nothing if the assessment is no trouble.
  init?(_ assessment: RelayHealth.Assessment, _ health: RelayHealth, _ subject: ProbeSubject, at now: Duration) {
    self.assessment = assessment
    self.subject = subject
    func list(_ relays: [IPv6Address]) -> String { relays.sorted().map(\.description).joined(separator: " and ") }
    let answering = health.relays.filter { $0.value.answersEcho(at: now) == true }.map(\.key)
    switch assessment {
    case .undecided, .carrying:
      return nil
    case .notCarrying:
      let targets = subject.targets.map(\.description).joined(separator: ", ")
      let question =
        answering.count == 1
        ? "answers echo: is it the wrong relay for this prefix?"
        : "answer echo: are they the wrong relays for this prefix?"
      description =
        "nothing comes back through the tunnel (asked: \(targets)), while \(list(answering)) \(question)"
    case .unreachable:
      description =
        "no relay can be reached: nothing comes back from \(list(Array(health.relays.keys))), neither through the tunnel "
        + "nor to an echo request"
    }
  }
}

extension Duration {
  /// Rounded to tenths.
  fileprivate var inSeconds: Double {
    (Double(components.seconds) * 10 + (Double(components.attoseconds) / 1e17).rounded()) / 10
  }
}
