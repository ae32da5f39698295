// SPDX-License-Identifier: GPL-3.0-or-later
//
// The inner probe as bytes: an ICMP echo request inside the softwire, and the reply to it. The identifier is one of the
// line's own ports, since the BR finds the way back by it; a cookie tells our replies from strangers' packets.

public import RouterKit

/// An ICMP echo that travels through a softwire.
public struct InnerProbe: Hashable, Sendable {
  /// This router's IPv4 address on the softwire.
  public var source: IPv4Address
  /// Who is asked.
  public var target: IPv4Address
  /// The ICMP identifier, a port of the line's set.
  public var identifier: UInt16
  /// Counts the probes.
  public var sequence: UInt16
  /// What only this process knows.
  public var cookie: UInt64

  /// Makes a probe.
  public init(source: IPv4Address, target: IPv4Address, identifier: UInt16, sequence: UInt16, cookie: UInt64) {
    self.source = source
    self.target = target
    self.identifier = identifier
    self.sequence = sequence
    self.cookie = cookie
  }

  private static let headerLength = 20
  private static let length = 36
  private static let icmp: UInt8 = 1

  /// The IPv4 packet: 20 bytes of header, 8 of ICMP, the cookie.
  public var packet: [UInt8] {
    var packet: [UInt8] = [0x45, 0, 0, UInt8(Self.length), 0, 0, 0x40, 0, 64, Self.icmp, 0, 0]
    packet += source.bytes + target.bytes
    Self.setChecksum(of: &packet, from: 0, to: Self.headerLength, at: 10)
    packet += [8, 0, 0, 0] + Self.bytes(identifier) + Self.bytes(sequence)
    packet += (0..<8).map { UInt8(truncatingIfNeeded: cookie >> UInt64(56 - 8 * $0)) }
    Self.setChecksum(of: &packet, from: Self.headerLength, to: Self.length, at: 22)
    return packet
  }

  /// The sequence number of the probe that `packet` answers, or nothing if it is no answer to a probe like this one.
  /// - Parameter packet: an IPv4 packet that came in from a relay; it may be anything.
  public func sequence(answeredBy packet: some Collection<UInt8>) -> UInt16? {
    let bytes = Array(packet.prefix(Self.length + 1))
    guard bytes.count == Self.length, bytes[0] == 0x45, bytes[9] == Self.icmp, bytes[20] == 0, bytes[21] == 0,
      Array(bytes[16..<20]) == source.bytes, Array(bytes[24..<26]) == Self.bytes(identifier),
      bytes[28..<36].reduce(UInt64(0), { $0 << 8 | UInt64($1) }) == cookie,
      Self.sum(bytes, from: 0, to: Self.headerLength) == 0xffff,
      Self.sum(bytes, from: Self.headerLength, to: Self.length) == 0xffff
    else { return nil }
    return UInt16(bytes[26]) << 8 | UInt16(bytes[27])
  }

  private static func bytes(_ value: UInt16) -> [UInt8] {
    [UInt8(truncatingIfNeeded: value >> 8), UInt8(truncatingIfNeeded: value)]
  }

  /// The one's complement sum of 16-bit words (RFC 1071); 0xffff over data with a right checksum in it.
  private static func sum(_ bytes: [UInt8], from start: Int, to end: Int) -> UInt16 {
    var sum: UInt32 = 0
    for index in stride(from: start, to: end, by: 2) {
      sum += UInt32(bytes[index]) << 8 | UInt32(bytes[index + 1])
    }
    while sum > 0xffff { sum = (sum & 0xffff) + (sum >> 16) }
    return UInt16(truncatingIfNeeded: sum)
  }

  private static func setChecksum(of bytes: inout [UInt8], from start: Int, to end: Int, at position: Int) {
    bytes.replaceSubrange(position..<(position + 2), with: Self.bytes(~sum(bytes, from: start, to: end)))
  }
}
