// SPDX-License-Identifier: GPL-3.0-or-later
//
// Named timeouts: how long connections that get them may be silent, in place of the host's settings for everybody.
//
// The kernel fills in its own values for states that are not given. All states are written, so that what is read back
// is what was written.

/// How long the IPv4 connections of one protocol may be silent, in seconds.
public enum ConnectionTimeouts: Hashable, Sendable {
  case tcp(TCP)
  /// For a connection that was answered and one that was not.
  case udp(answered: UInt32, unanswered: UInt32)
  case icmp(UInt32)
  /// Something in the kernel's table that routerd never makes.
  case unsupported

  /// The states of a TCP connection, as connection tracking sees them.
  public struct TCP: Hashable, Sendable {
    /// Open in both directions.
    public var established: UInt32
    /// Being opened or being closed.
    public var transitory: UInt32
    /// Closed by both sides; packets on their way may still arrive.
    public var timeWait: UInt32
    /// Broken off by a reset.
    public var closed: UInt32
    /// Data was sent again and again, or was never acknowledged.
    public var unacknowledged: UInt32

    /// Describes timeouts.
    public init(
      established: UInt32, transitory: UInt32, timeWait: UInt32, closed: UInt32, unacknowledged: UInt32
    ) {
      self.established = established
      self.transitory = transitory
      self.timeWait = timeWait
      self.closed = closed
      self.unacknowledged = unacknowledged
    }
  }

  /// The number of the protocol.
  var protocolNumber: UInt8? {
    switch self {
    case .tcp: 6
    case .udp: 17
    case .icmp: 1
    case .unsupported: nil
    }
  }

  /// The values in the kernel's order.
  var values: [UInt32] {
    switch self {
    case .tcp(let tcp):
      // SYN_SENT, SYN_RECV, ESTABLISHED, FIN_WAIT, CLOSE_WAIT, LAST_ACK, TIME_WAIT, CLOSE, SYN_SENT2, RETRANS, UNACK
      [
        tcp.transitory, tcp.transitory, tcp.established, tcp.transitory, tcp.transitory, tcp.transitory, tcp.timeWait,
        tcp.closed, tcp.transitory, tcp.unacknowledged, tcp.unacknowledged,
      ]
    case .udp(let answered, let unanswered): [unanswered, answered]
    case .icmp(let silence): [silence]
    case .unsupported: []
    }
  }

  /// Reads the kernel's values.
  init(protocolNumber: UInt8, values: [UInt32]) {
    let read: ConnectionTimeouts? =
      switch protocolNumber {
      case 6 where values.count >= 11:
        .tcp(
          TCP(
            established: values[2], transitory: values[0], timeWait: values[6], closed: values[7],
            unacknowledged: values[9]))
      case 17 where values.count >= 2: .udp(answered: values[1], unanswered: values[0])
      case 1 where !values.isEmpty: .icmp(values[0])
      default: nil
      }
    guard let read, values.starts(with: read.values) else {
      self = .unsupported
      return
    }
    self = read
  }
}
