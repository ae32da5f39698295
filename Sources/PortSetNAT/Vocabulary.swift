// SPDX-License-Identifier: GPL-3.0-or-later
//
// The words that the rules are written in: each is a run of expressions. Register 1 is free between any two words.

internal import NFTables
internal import RouterKit

typealias Words = [Expression]

/// Names of the table's sets and maps.
enum SetName {
  static let softwires = "softwires"
  static let relays = "relays"
  static let portProtocols = "port_protocols"
  static let sharingProtocols = "sharing_protocols"
  static let echoTypes = "icmp_echo"
  static let errorTypes = "icmp_errors"
  static let realPorts = "real_ports"
  static let realToPrivate = "real_to_private"
  static let privateToReal = "private_to_real"
  static let cone = "cone"
  static let owners = "owners"

  static func forwarded(_ transport: PortForward.TransportProtocol) -> String {
    "forwarded_\(transport)"
  }

  static func forwardedHere(_ transport: PortForward.TransportProtocol) -> String {
    "forwarded_\(transport)_here"
  }
}

/// Numbers of protocols, one byte each.
enum ProtocolNumber {
  static let icmp: UInt8 = 1
  static let ipv4: UInt8 = 4
  static let tcp: UInt8 = 6
  static let udp: UInt8 = 17
  static let ipv6Fragment: UInt8 = 44
  static let icmpv6: UInt8 = 58
}

/// Where things are in packets; offsets in bytes.
extension Payload {
  static let ipv4Source = Payload(.network, offset: 12, length: 4)
  static let ipv4Destination = Payload(.network, offset: 16, length: 4)
  static let ipv6Source = Payload(.network, offset: 8, length: 16)
  static let ipv6Destination = Payload(.network, offset: 24, length: 16)
  static let sourcePort = Payload(.transport, offset: 0, length: 2)
  static let destinationPort = Payload(.transport, offset: 2, length: 2)
  static let tcpFlags = Payload(.transport, offset: 13, length: 1)
  static let icmpType = Payload(.transport, offset: 0, length: 1)
  static let icmpTypeAndCode = Payload(.transport, offset: 0, length: 2)
  static let icmpIdentifier = Payload(.transport, offset: 4, length: 2)
  // An ICMP error has a header of 8 bytes, then the IPv4 header (20 bytes when it has no options) and the first 8 bytes
  // of the packet that it is about.
  static let quotedVersionAndLength = Payload(.transport, offset: 8, length: 1)
  static let quotedProtocol = Payload(.transport, offset: 8 + 9, length: 1)
  static let quotedSourcePort = Payload(.transport, offset: 28, length: 2)
  static let quotedDestinationPort = Payload(.transport, offset: 30, length: 2)
  static let quotedICMPType = Payload(.transport, offset: 28, length: 1)
  static let quotedICMPIdentifier = Payload(.transport, offset: 28 + 4, length: 2)
  /// In an IPv6 packet that carries IPv4.
  static let innerIPv4Source = Payload(.transport, offset: 12, length: 4)
  // An ICMPv6 error has the same 8 bytes, then an IPv6 header.
  static let quotedNextHeader = Payload(.transport, offset: 8 + 6, length: 1)
}

extension ChecksumUpdate {
  static let icmp = ChecksumUpdate.internet(offset: 2)
}

extension Words {
  static let fromSoftwire: Words = [
    .meta(.inputName, into: .r1), .lookup(.r1, set: SetName.softwires, isInverted: false),
  ]
  static let toSoftwire: Words = [
    .meta(.outputName, into: .r1), .lookup(.r1, set: SetName.softwires, isInverted: false),
  ]
  static let isIPv4: Words = [.meta(.networkProtocol, into: .r1), .compare(.r1, .equal, [2])]
  static let isIPv6: Words = [.meta(.networkProtocol, into: .r1), .compare(.r1, .equal, [10])]
  static let accept: Words = [.verdict(.accept)]

  static func isProtocol(_ number: UInt8) -> Words {
    [.meta(.transportProtocol, into: .r1), .compare(.r1, .equal, [number])]
  }

  static func `is`(_ payload: Payload, _ value: [UInt8]) -> Words {
    [.payload(payload, into: .r1), .compare(.r1, .equal, value)]
  }

  static func isNot(_ payload: Payload, _ value: [UInt8]) -> Words {
    [.payload(payload, into: .r1), .compare(.r1, .notEqual, value)]
  }

  static func `is`(_ payload: Payload, in set: String) -> Words {
    [.payload(payload, into: .r1), .lookup(.r1, set: set, isInverted: false)]
  }

  static func isNot(_ payload: Payload, in set: String) -> Words {
    [.payload(payload, into: .r1), .lookup(.r1, set: set, isInverted: true)]
  }

  static func hasState(_ states: ConnectionState) -> Words {
    [
      .connection(.state, into: .r1),
      .bitwise(.r1, into: .r1, mask: hostBytes(states.rawValue), xor: hostBytes(0)),
      .compare(.r1, .notEqual, hostBytes(0)),
    ]
  }

  static func hasStatus(_ status: ConnectionStatus) -> Words {
    [
      .connection(.status, into: .r1),
      .bitwise(.r1, into: .r1, mask: hostBytes(status.rawValue), xor: hostBytes(0)),
      .compare(.r1, .notEqual, hostBytes(0)),
    ]
  }

  /// Replaces a port by what the map has for it; a port that the map has not ends the rule.
  static func rewrite(_ payload: Payload, by map: String, _ checksum: ChecksumUpdate) -> Words {
    [
      .payload(payload, into: .r1), .map(.r1, map: map, into: .r1),
      .writePayload(payload, from: .r1, checksum: checksum),
    ]
  }

  static func jump(_ chain: String) -> Words {
    [.verdict(.jump(chain))]
  }

  static func drop(_ reason: DropReason) -> Words {
    [.counter(reason.rawValue), .verdict(.drop)]
  }

  private static func hostBytes(_ value: UInt32) -> [UInt8] {
    Swift.withUnsafeBytes(of: value) { [UInt8]($0) }
  }
}

extension UInt16 {
  /// The two bytes in network order.
  var networkBytes: [UInt8] {
    [UInt8(truncatingIfNeeded: self >> 8), UInt8(truncatingIfNeeded: self)]
  }
}
