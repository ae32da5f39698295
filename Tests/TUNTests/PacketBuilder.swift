// SPDX-License-Identifier: GPL-3.0-or-later
//
// Packets for tests, built without the product's code.

import RouterKit

/// Builds IPv4 packets.
struct PacketBuilder {
  var source = IPv4Address(133, 209, 13, 2)
  var destination = IPv4Address(198, 51, 100, 1)
  var protocolNumber: UInt8 = 17
  var typeOfService: UInt8 = 0
  var timeToLive: UInt8 = 64
  var identification: UInt16 = 0x1234
  var forbidsFragmenting = false
  var hasMoreFragments = false
  var fragmentOffset = 0
  /// Header options, a multiple of four bytes.
  var options: [UInt8] = []
  var payload: [UInt8] = []

  /// A UDP packet with a right checksum.
  static func udp(
    _ source: IPv4Address = IPv4Address(133, 209, 13, 2), _ sourcePort: UInt16 = 5136,
    _ destination: IPv4Address = IPv4Address(198, 51, 100, 1), _ destinationPort: UInt16 = 7, data: [UInt8] = []
  ) -> PacketBuilder {
    var segment = words([sourcePort, destinationPort, UInt16(8 + data.count), 0]) + data
    let checksum = internetChecksum(pseudoHeader(source, destination, 17, segment.count) + segment)
    segment.replaceSubrange(6..<8, with: words([checksum == 0 ? 0xffff : checksum]))
    return PacketBuilder(source: source, destination: destination, payload: segment)
  }

  /// A TCP packet with a right checksum.
  static func tcp(
    _ source: IPv4Address, _ sourcePort: UInt16, _ destination: IPv4Address, _ destinationPort: UInt16,
    flags: UInt8 = 0x10, options: [UInt8] = [], data: [UInt8] = []
  ) -> PacketBuilder {
    var segment = words([sourcePort, destinationPort]) + [0, 0, 0, 1, 0, 0, 0, 2]
    segment += [UInt8((20 + options.count) / 4) << 4, flags, 0xff, 0xff, 0, 0, 0, 0] + options + data
    let checksum = internetChecksum(pseudoHeader(source, destination, 6, segment.count) + segment)
    segment.replaceSubrange(16..<18, with: words([checksum]))
    return PacketBuilder(source: source, destination: destination, protocolNumber: 6, payload: segment)
  }

  /// An ICMP message with a right checksum.
  static func icmp(
    _ source: IPv4Address, _ destination: IPv4Address, type: UInt8, code: UInt8 = 0, rest: [UInt16] = [0, 0],
    data: [UInt8] = []
  ) -> PacketBuilder {
    var message = [type, code, 0, 0] + words(rest) + data
    message.replaceSubrange(2..<4, with: words([internetChecksum(message)]))
    return PacketBuilder(source: source, destination: destination, protocolNumber: 1, payload: message)
  }

  /// The packet.
  var bytes: [UInt8] {
    let length = 20 + options.count + payload.count
    let flags = (forbidsFragmenting ? 0x4000 : 0) | (hasMoreFragments ? 0x2000 : 0) | fragmentOffset / 8
    var header = [0x40 | UInt8(5 + options.count / 4), typeOfService]
    header += words([UInt16(length), identification, UInt16(flags)])
    header += [timeToLive, protocolNumber, 0, 0] + source.bytes + destination.bytes + options
    header.replaceSubrange(10..<12, with: words([internetChecksum(header)]))
    return header + payload
  }

  /// The packet with the transport checksum as the kernel leaves it to be filled in.
  var bytesWithPartialChecksum: [UInt8] {
    var packet = bytes
    let start = 20 + options.count
    let pseudo = ~internetChecksum(pseudoHeader(source, destination, protocolNumber, payload.count))
    let offset = start + (protocolNumber == 6 ? 16 : 6)
    packet.replaceSubrange(offset..<(offset + 2), with: words([pseudo]))
    return packet
  }
}

/// Numbers in network order.
func words(_ values: [UInt16]) -> [UInt8] {
  values.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xff)] }
}

/// The 16-bit number at `offset`.
func word(_ bytes: [UInt8], _ offset: Int) -> UInt16 {
  UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1])
}

func pseudoHeader(
  _ source: IPv4Address, _ destination: IPv4Address, _ protocolNumber: UInt8, _ length: Int
) -> [UInt8] {
  source.bytes + destination.bytes + [0, protocolNumber] + words([UInt16(length)])
}

/// RFC 1071, word by word.
func internetChecksum(_ bytes: [UInt8]) -> UInt16 {
  var sum: UInt32 = 0
  for index in stride(from: 0, to: bytes.count, by: 2) {
    sum += UInt32(bytes[index]) << 8 | (index + 1 < bytes.count ? UInt32(bytes[index + 1]) : 0)
    if sum > 0xffff { sum = sum - 0xffff }
  }
  return ~UInt16(sum)
}

/// An ICMPv6 error (its checksum is left to the kernel) that quotes an outer packet with `inner` in it.
func tunnelError(
  type: UInt8, code: UInt8 = 0, value: UInt32 = 0, from source: IPv6Address, to destination: IPv6Address,
  nextHeader: UInt8 = 4, fragmentHeader: [UInt8] = [], inner: [UInt8]
) -> [UInt8] {
  let outer =
    [0x60, 0, 0, 0] + words([UInt16(fragmentHeader.count + inner.count)])
    + [fragmentHeader.isEmpty ? nextHeader : 44, 64] + source.bytes + destination.bytes + fragmentHeader
  return [type, code, 0, 0] + words([UInt16(value >> 16), UInt16(value & 0xffff)]) + outer + inner
}

/// The line whose numbers the tests use.
enum Line {
  static let prefix = "2404:7a82:4d02:4100::/56"
  static let ipv4 = IPv4Address(133, 209, 13, 2)

  static func rule() throws -> MappingRule {
    try MappingRule(
      ipv6Prefix: IPv6Prefix("2404:7a82:4c00::/38"), ipv4Prefix: IPv4Prefix("133.209.12.0/22"), eaBitsLength: 18,
      psidOffset: 4, identifierFormat: .draft03, isForwarding: true)
  }

  /// The line's tunnel, hub and spoke or mesh.
  static func tunnel(mesh: Bool = false, device: String = "softwire0") throws -> TunnelSpec {
    let parameters = try rule().parameters(for: IPv6Prefix(prefix))
    let softwire = MAPESoftwire(
      parameters: parameters, borderRelay: try IPv6Address("2001:260:700:1::1:275"),
      allowedRelays: [try IPv6Address("2404:9200:225:100::64")], forwardingRules: mesh ? [try rule()] : [])
    return TunnelSpec(deviceName: device, softwire: .mapE(softwire), mtu: 1460)
  }

  /// A neighbour who shares the IPv4 address: PSID 66, whose first block begins with port 5152.
  static func neighbour() throws -> IPv6Address { try IPv6Address("2404:7a82:4d02:4200:85:d10d:200:4200") }

  /// A subscriber with another address, 133.209.13.3, and the PSID of the line.
  static func subscriber() throws -> IPv6Address { try IPv6Address("2404:7a82:4d03:4100:85:d10d:300:4100") }
}
