// SPDX-License-Identifier: GPL-3.0-or-later
//
// How long a silent connection keeps its port. The numbers are those of the RFCs on what a NAT must do: TCP from RFC
// 5382 (REQ-5), UDP from RFC 4787 (REQ-5), ICMP from RFC 5508 (REQ-2). They only hold for connections over the softwire;
// everything else on the router goes by the host's settings.
//
// Two of them are not for connections but for what is left of them, where a few ports must serve many: a DNS query to
// one resolver takes one of perhaps 240 ports, and is over with its answer (RFC 4787 REQ-5a lets a NAT be quicker with
// well-known ports); and a TCP connection that both sides have closed, and have told each other so (TIME_WAIT).
//
// RFC 5382 counts the latter among what shall be remembered for 4 minutes, with 64,000 ports in mind. Of 240 ports that
// leaves one new connection a second to one server. Newer kernels give such a port to the next connection as soon as no
// other is free; Debian 12's does not before the time is over. So the time is as short as its purpose allows: an end that
// has missed the last acknowledgement repeats its FIN after a fraction of a second, which begins the time anew. What
// arrives later still is sorted out by the ends, by sequence numbers and timestamps (RFC 1122 section 4.2.2.13, RFC 6191).

internal import NFTables

/// How long connections over the softwire may be silent, in seconds.
public struct FlowTimeouts: Hashable, Sendable {
  /// TCP, open: 2 hours and 4 minutes.
  public var tcpEstablished: UInt32 = 7440
  /// TCP, being opened or closed: 4 minutes.
  public var tcpTransitory: UInt32 = 240
  /// TCP, closed by both sides: 2 seconds.
  public var tcpTimeWait: UInt32 = 2
  /// UDP: 5 minutes.
  public var udp: UInt32 = 300
  /// UDP to port 53: half a minute.
  public var dns: UInt32 = 30
  /// ICMP: 1 minute.
  public var icmp: UInt32 = 60

  /// Makes the defaults.
  public init() {}

  /// As objects of the table, by name. What is not asked about is as the kernel has it: 10 seconds after a reset, 5
  /// minutes for data that nobody acknowledges.
  var objects: [String: ConnectionTimeouts] {
    [
      TimeoutName.tcp: .tcp(
        .init(
          established: tcpEstablished, transitory: tcpTransitory, timeWait: tcpTimeWait, closed: 10,
          unacknowledged: min(300, tcpEstablished))),
      TimeoutName.udp: .udp(answered: udp, unanswered: udp), TimeoutName.dns: .udp(answered: dns, unanswered: dns),
      TimeoutName.icmp: .icmp(icmp),
    ]
  }
}

/// Names of the table's timeouts.
enum TimeoutName {
  static let tcp = "tcp"
  static let udp = "udp"
  static let dns = "dns"
  static let icmp = "icmp"
}

/// The chain that gives them to connections that begin.
enum TimeoutChain {
  static let name = "timeouts"

  static var chain: Chain {
    func rule(_ words: Words, _ timeout: String, _ comment: String) -> Rule {
      Rule(words + [.timeout(timeout), .verdict(.return)], comment: comment)
    }
    return Chain(
      name: name,
      rules: [
        rule(.isProtocol(ProtocolNumber.tcp), TimeoutName.tcp, "TCP"),
        rule(.isProtocol(ProtocolNumber.udp) + .is(.destinationPort, [0, 53]), TimeoutName.dns, "DNS"),
        rule(.isProtocol(ProtocolNumber.udp), TimeoutName.udp, "UDP"),
        rule(.isProtocol(ProtocolNumber.icmp), TimeoutName.icmp, "ping"),
      ])
  }
}
