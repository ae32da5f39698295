// SPDX-License-Identifier: GPL-3.0-or-later
//
// Which border relays answer. The tunnel device is UP whether or not anything comes back through it, so the only proof of
// a relay is a packet that went out through it and came back: the inner probe, an ICMP echo inside the softwire. An echo
// of the relay itself, outside the softwire, only advises, since some relays do not answer it, and one that does may
// carry nothing. It never moves traffic; it tells a relay that does not serve this line from one out of reach.
//
// The active relay is asked every second, the others every two. It counts as dead when nothing came back for four
// seconds and at least three probes; that alone changes nothing. It is replaced only if another relay answered lately:
// if none does, the fault is elsewhere, and moving would only break what may come back.
//
// Echoes go out every ten seconds, and at once when a second probe in a row goes unanswered: what the relay answered
// before that is no news of it. So when a relay counts as dead, it is known whether it answers echo.

public import RouterKit

/// Follows the probes of a softwire's relays. A pure state machine: it sends nothing and has no clock.
public struct RelayHealth: Sendable {
  /// How often the relay in use is asked.
  public static let activePeriod = Duration.seconds(1)
  /// How often the others are asked.
  public static let standbyPeriod = Duration.seconds(2)
  /// The silence after which a relay counts as dead.
  public static let silenceLimit = Duration.seconds(4)
  /// How many probes must have gone unanswered besides, and how many in a row must be answered for it to carry again.
  public static let probeLimit = 3
  /// How fresh an answer must be for a relay to be worth moving to.
  public static let freshness = Duration.seconds(3)
  /// How often each relay is sent an echo request of its own.
  public static let echoPeriod = Duration.seconds(10)
  /// How long an answer to that may take.
  public static let echoPatience = Duration.seconds(1)
  /// How long an answered echo counts: one lost echo is no news.
  public static let echoFreshness = Duration.seconds(25)

  /// What is known of one relay.
  public struct Relay: Hashable, Sendable {
    /// When the last inner probe was sent through it.
    public fileprivate(set) var lastProbe: Duration?
    /// When the last inner probe that went out through it was answered.
    public fileprivate(set) var lastAnswer: Duration?
    /// When it last answered an echo request of its own.
    public fileprivate(set) var lastEcho: Duration?
    /// How many inner probes went out since the last answer.
    public fileprivate(set) var unanswered = 0
    /// When the first of those was sent.
    fileprivate var silentSince: Duration?
    /// When the second of those was sent: echoes from before that say nothing of now.
    fileprivate var suspectSince: Duration?
    /// How many of the last inner probes were answered without one missing between.
    fileprivate var answeredInARow = 0
    /// When the last echo request was sent.
    fileprivate var lastEchoRequest: Duration?
    /// When the last one that was answered had been sent.
    fileprivate var answeredEchoRequest: Duration?
    /// When the first one that was not answered since, and not before the relay became suspect, was sent.
    fileprivate var unansweredEchoRequest: Duration?

    /// Whether nothing has come back through it for so long that it counts as dead.
    public func isDead(at now: Duration) -> Bool {
      guard unanswered >= RelayHealth.probeLimit, let silentSince else { return false }
      return now - silentSince >= RelayHealth.silenceLimit
    }

    /// Whether it itself answers echo requests; nothing while that is not known.
    public func answersEcho(at now: Duration) -> Bool? {
      if let request = answeredEchoRequest, request >= suspectSince ?? request,
        now - request <= RelayHealth.echoFreshness
      {
        return true
      }
      guard let request = unansweredEchoRequest, now - request >= RelayHealth.echoPatience else { return nil }
      return false
    }
  }

  /// What an answer or the time has shown.
  public enum Finding: Hashable, Sendable {
    /// The relay in use is dead, though it may answer echo, and these others carry packets.
    case replace(dead: IPv6Address, answersEcho: Bool?, alive: Set<IPv6Address>)
    /// The answer to a probe through one relay came from another one that is allowed, which is genuine.
    case answeredByAnother(asked: IPv6Address, answered: IPv6Address)
  }

  /// Whether packets come back through the softwire, and if not, how far they get.
  public enum Assessment: Hashable, Sendable {
    /// There is no telling yet, or no longer: what was said before stands.
    case undecided
    /// Packets come back through the relay in use.
    case carrying
    /// Nothing comes back through any relay, though at least one answers echo.
    case notCarrying
    /// No relay answers anything.
    case unreachable
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

  /// The relays that an inner probe is due for, and from this moment on counts as sent to.
  public mutating func dueProbes(at now: Duration) -> [IPv6Address] {
    let due = relays.keys.filter { relay in
      let period = relay == active ? Self.activePeriod : Self.standbyPeriod
      return relays[relay]?.lastProbe.map { now - $0 >= period } ?? true
    }.sorted()
    for address in due {
      guard var relay = relays[address] else { continue }
      relay.lastProbe = now
      if relay.unanswered == 0 {
        relay.silentSince = now
      } else {
        relay.answeredInARow = 0
      }
      if relay.unanswered == 1 {
        relay.suspectSince = now
        relay.unansweredEchoRequest = nil
      }
      relay.unanswered += 1
      relays[address] = relay
    }
    return due
  }

  /// Notes the answer to an inner probe.
  /// - Parameters:
  ///   - asked: the relay that the probe went out through.
  ///   - source: the relay that the answer came in from.
  /// - Returns: something to report, the first time.
  public mutating func answered(asked: IPv6Address, from source: IPv6Address, at now: Duration) -> Finding? {
    guard var relay = relays[asked], relays[source] != nil else { return nil }
    relay.lastAnswer = now
    relay.unanswered = 0
    relay.silentSince = nil
    relay.suspectSince = nil
    relay.answeredInARow = min(relay.answeredInARow + 1, Self.probeLimit)
    relays[asked] = relay
    guard source != asked, pairsReported.insert([asked, source]).inserted else { return nil }
    return .answeredByAnother(asked: asked, answered: source)
  }

  /// The relays that an echo request is due for, and from this moment on counts as sent to.
  public mutating func dueEchoes(at now: Duration) -> [IPv6Address] {
    let due = relays.filter { _, relay in
      guard let last = relay.lastEchoRequest else { return true }
      return now - last >= Self.echoPeriod || last < relay.suspectSince ?? last
    }.keys.sorted()
    for address in due {
      relays[address]?.lastEchoRequest = now
      if relays[address]?.unansweredEchoRequest == nil { relays[address]?.unansweredEchoRequest = now }
    }
    return due
  }

  /// Notes that a relay answered an echo request.
  /// - Parameter request: when that had been sent.
  public mutating func echoed(_ address: IPv6Address, request: Duration, at now: Duration) {
    guard var relay = relays[address] else { return }
    relay.lastEcho = now
    relay.answeredEchoRequest = max(request, relay.answeredEchoRequest ?? request)
    relay.unansweredEchoRequest = nil
    relays[address] = relay
  }

  /// Whether the relay in use has to be replaced.
  public func verdict(at now: Duration) -> Finding? {
    guard let relay = relays[active], relay.isDead(at: now) else { return nil }
    let alive = alive(at: now).subtracting([active])
    return alive.isEmpty ? nil : .replace(dead: active, answersEcho: relay.answersEcho(at: now), alive: alive)
  }

  /// Whether packets come back, as far as that can be told.
  public func assessment(at now: Duration) -> Assessment {
    guard let relay = relays[active] else { return .undecided }
    guard relay.isDead(at: now) else { return relay.answeredInARow >= Self.probeLimit ? .carrying : .undecided }
    let echoes = relays.values.map { $0.answersEcho(at: now) }
    guard alive(at: now).isEmpty, !echoes.contains(nil) else { return .undecided }
    return echoes.contains(true) ? .notCarrying : .unreachable
  }

  /// The relays that carried a packet lately.
  private func alive(at now: Duration) -> Set<IPv6Address> {
    Set(relays.filter { $0.value.lastAnswer.map { now - $0 <= Self.freshness } ?? false }.keys)
  }
}
