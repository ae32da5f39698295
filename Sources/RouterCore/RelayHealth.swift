// SPDX-License-Identifier: GPL-3.0-or-later
//
// Which border relays answer. The tunnel device is UP whether or not anything comes back through it, so the only proof of
// a relay is a packet that went out through it and came back: the inner probe, an ICMP echo inside the softwire. An echo
// of the relay itself proves little, since some relays do not answer it, and is not sent.
//
// The active relay is asked every second, the others every two. It counts as dead when nothing came back for four
// seconds and at least three probes; that alone changes nothing. It is replaced only if another relay answered lately:
// if none does, the fault is elsewhere, and moving would only break what may come back.

public import RouterKit

/// Follows the probes of a softwire's relays. A pure state machine: it sends nothing and has no clock.
public struct RelayHealth: Sendable {
  /// How often the relay in use is asked.
  public static let activePeriod = Duration.seconds(1)
  /// How often the others are asked.
  public static let standbyPeriod = Duration.seconds(2)
  /// The silence after which a relay counts as dead.
  public static let silenceLimit = Duration.seconds(4)
  /// How many probes must have gone unanswered besides.
  public static let probeLimit = 3
  /// How fresh an answer must be for a relay to be worth moving to.
  public static let freshness = Duration.seconds(3)

  /// What is known of one relay.
  public struct Relay: Hashable, Sendable {
    /// When the last inner probe was sent through it.
    public fileprivate(set) var lastProbe: Duration?
    /// When the last inner probe that went out through it was answered.
    public fileprivate(set) var lastAnswer: Duration?
    /// How many inner probes went out since the last answer.
    public fileprivate(set) var unanswered = 0
    /// When the first of those was sent.
    fileprivate var silentSince: Duration?
  }

  /// What an answer or the time has shown.
  public enum Finding: Hashable, Sendable {
    /// The relay in use is dead, and these answer.
    case replace(dead: IPv6Address, alive: Set<IPv6Address>)
    /// The answer to a probe through one relay came from another one that is allowed, which is genuine.
    case answeredByAnother(asked: IPv6Address, answered: IPv6Address)
  }

  /// The relays by address.
  public private(set) var relays: [IPv6Address: Relay]
  /// The relay in use. With another one a new watch begins.
  public let active: IPv6Address
  private var pairsReported: Set<[IPv6Address]> = []

  /// Begins to follow the relays of a softwire.
  /// - Parameter allowed: every relay that may be used, `active` among them.
  public init(active: IPv6Address, allowed: [IPv6Address]) {
    self.active = active
    relays = Dictionary((allowed + [active]).map { ($0, Relay()) }) { first, _ in first }
  }

  /// The relays that a probe is due for, and from this moment on counts as sent to.
  public mutating func dueProbes(at now: Duration) -> [IPv6Address] {
    let due = relays.keys.filter { relay in
      let period = relay == active ? Self.activePeriod : Self.standbyPeriod
      return relays[relay]?.lastProbe.map { now - $0 >= period } ?? true
    }.sorted()
    for relay in due {
      relays[relay]?.lastProbe = now
      relays[relay]?.unanswered += 1
      if relays[relay]?.silentSince == nil { relays[relay]?.silentSince = now }
    }
    return due
  }

  /// Notes the answer to an inner probe.
  /// - Parameters:
  ///   - asked: the relay that the probe went out through.
  ///   - source: the relay that the answer came in from.
  /// - Returns: something to report, the first time.
  public mutating func answered(asked: IPv6Address, from source: IPv6Address, at now: Duration) -> Finding? {
    guard relays[asked] != nil, relays[source] != nil else { return nil }
    relays[asked]?.lastAnswer = now
    relays[asked]?.unanswered = 0
    relays[asked]?.silentSince = nil
    guard source != asked, pairsReported.insert([asked, source]).inserted else { return nil }
    return .answeredByAnother(asked: asked, answered: source)
  }

  /// Whether the relay in use has to be replaced.
  public func verdict(at now: Duration) -> Finding? {
    guard let state = relays[active], state.unanswered >= Self.probeLimit,
      let since = state.silentSince, now - since >= Self.silenceLimit
    else { return nil }
    let alive = relays.filter { relay, state in
      relay != active && (state.lastAnswer.map { now - $0 <= Self.freshness } ?? false)
    }
    return alive.isEmpty ? nil : .replace(dead: active, alive: Set(alive.keys))
  }
}
