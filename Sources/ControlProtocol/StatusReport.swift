// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the daemon says of itself; `routerd status --json` prints it as it is.

/// The state of the router.
public struct StatusReport: Codable, Hashable, Sendable {
  /// What the router is doing.
  public enum State: String, Codable, Hashable, Sendable {
    /// The softwire carries traffic.
    case up
    /// Something that comes by itself is missing: a prefix, the end of duplicate address detection, the link.
    case waiting
    /// The line and the profile do not fit; somebody has to decide.
    case refused
    /// The kernel or another router stands in the way; the daemon goes on trying.
    case failed
  }

  /// What the router is doing.
  public var state: State
  /// Why it is not up, as a sentence; absent when it is.
  public var reason: String?
  /// The profile in use.
  public var profile: String?
  /// The profile of the configuration: a name or "auto".
  public var requestedProfile: String
  /// The dataplane in use.
  public var dataplane: String?
  /// The interface with the IPv6 line.
  public var wan: String
  /// The prefixes of the line.
  public var prefixes: [String] = []
  /// The softwire in use.
  public var softwire: SoftwireReport?
  /// The relays of the softwire, the one in use first; empty while they are not probed.
  public var relays: [RelayReport] = []
  /// What routerd itself has heard of the line.
  public var line: LineReport?
  /// The rule sources that have to be asked, and what came of it.
  public var sources: [SourceReport] = []
  /// Dropped packets by reason.
  public var counters: [String: UInt64] = [:]
  /// Things that work but should be looked at.
  public var warnings: [String] = []
  /// The process id of the daemon.
  public var pid: Int32

  /// Makes a report.
  public init(state: State, reason: String?, requestedProfile: String, wan: String, pid: Int32) {
    self.state = state
    self.reason = reason
    self.requestedProfile = requestedProfile
    self.wan = wan
    self.pid = pid
  }
}

/// What is known of a relay.
public struct RelayReport: Codable, Hashable, Sendable {
  /// The relay: BR or AFTR.
  public var address: String
  /// Whether it is the one in use.
  public var isInUse: Bool
  /// How long ago a probe that went out through it was answered; absent if none was.
  public var secondsSinceAnswer: Double?
  /// How long ago it answered an echo request of its own; absent if it never did.
  public var secondsSinceEcho: Double?
  /// Whether it answers echo requests; absent while that is not known.
  public var answersEcho: Bool?

  /// Makes a report.
  public init(
    address: String, isInUse: Bool, secondsSinceAnswer: Double?, secondsSinceEcho: Double?, answersEcho: Bool?
  ) {
    self.address = address
    self.isInUse = isInUse
    self.secondsSinceAnswer = secondsSinceAnswer
    self.secondsSinceEcho = secondsSinceEcho
    self.answersEcho = answersEcho
  }
}

/// The softwire in use.
public struct SoftwireReport: Codable, Hashable, Sendable {
  /// "map-e", "ds-lite" or "fixed-ip".
  public var kind: String
  /// The IPv6 prefix of the mapping rule (MAP-E).
  public var rule: String?
  /// The IPv4 address of this router.
  public var ipv4: String
  /// The PSID (MAP-E).
  public var psid: Int?
  /// This router's end: the CE or B4 address.
  public var ceAddress: String
  /// The far end in use: BR or AFTR.
  public var borderRelay: String
  /// Every far end that traffic is accepted from.
  public var allowedRelays: [String]
  /// The ports of this router, as pairs of first and last.
  public var portRanges: [[Int]]
  /// How many ports that are.
  public var portCount: Int
  /// The tunnel devices.
  public var devices: [String]
  /// The largest IPv4 packet in bytes.
  public var mtu: Int

  /// Makes a report.
  public init(
    kind: String, rule: String?, ipv4: String, psid: Int?, ceAddress: String, borderRelay: String,
    allowedRelays: [String], portRanges: [[Int]], portCount: Int, devices: [String], mtu: Int
  ) {
    self.kind = kind
    self.rule = rule
    self.ipv4 = ipv4
    self.psid = psid
    self.ceAddress = ceAddress
    self.borderRelay = borderRelay
    self.allowedRelays = allowedRelays
    self.portRanges = portRanges
    self.portCount = portCount
    self.devices = devices
    self.mtu = mtu
  }
}
