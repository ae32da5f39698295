// SPDX-License-Identifier: GPL-3.0-or-later
//
// The ICMP errors that this router makes up for senders inside. Their source is 192.0.0.8 (RFC 7600): from its own
// address the kernel would take them for martians.

import RouterKit

/// An ICMP error in the making.
struct ICMPError: Hashable, Sendable {
  /// The source of errors by whoever has no IPv4 address to give (RFC 7600 §4.8).
  static let source = IPv4Address(192, 0, 0, 8)
  /// Errors quote as much as fits this packet size (RFC 1812 §4.3.2.3).
  private static let maximumLength = 576

  let type: UInt8
  let code: UInt8
  let nextHopMTU: UInt16

  /// The far end cannot be reached.
  static let hostUnreachable = ICMPError(type: 3, code: 1, nextHopMTU: 0)
  /// Somebody on the way forbids it.
  static let prohibited = ICMPError(type: 3, code: 13, nextHopMTU: 0)
  /// Only `mtu` bytes pass.
  static func fragmentationNeeded(mtu: Int) -> ICMPError {
    ICMPError(type: 3, code: 4, nextHopMTU: UInt16(clamping: mtu))
  }

  /// The IPv4 packet that tells the sender of `quote`; nothing if that packet must not be answered (RFC 1122 §3.2.2) or
  /// too little of it is there for its sender to know it by.
  func packet(about quote: RawSpan) -> [UInt8]? {
    guard let header = try? IPv4Header(quoted: quote) else { return nil }
    let available = min(quote.byteCount, header.totalLength)
    guard header.fragmentOffset == 0, header.source.mayReceiveErrors, header.destination.mayReceiveErrors,
      available >= header.headerLength &+ 8
    else { return nil }
    if header.protocolNumber == IPv4Header.ProtocolNumber.icmp {
      guard case .query = ICMPKind(type: quote.byte(at: header.headerLength)) else { return nil }
    }
    let quoteLength = min(available, Self.maximumLength &- 28)
    var packet = [UInt8](repeating: 0, count: 28 &+ quoteLength)
    var span = packet.mutableSpan
    var bytes = span.mutableBytes
    // Version and length; class "internetwork control" (RFC 1812 §5.3.2).
    bytes.store(UInt16(0x45c0), at: 0)
    bytes.store(UInt16(truncatingIfNeeded: 28 &+ quoteLength), at: 2)
    bytes.store(UInt16(0x4000), at: 6)
    // Time to live 64, protocol ICMP.
    bytes.store(UInt16(0x4001), at: 8)
    bytes.store(Self.source.bits, at: 12)
    bytes.store(header.source.bits, at: 16)
    bytes.store(UInt16(type) << 8 | UInt16(code), at: 20)
    bytes.store(nextHopMTU, at: 26)
    for offset in 0..<quoteLength {
      bytes.store(quote.byte(at: offset), at: 28 &+ offset)
    }
    var sum = Checksum()
    sum.add(bytes.bytes, from: 0, length: 20)
    bytes.store(sum.value, at: 10)
    sum = Checksum()
    sum.add(bytes.bytes, from: 20, length: 8 &+ quoteLength)
    bytes.store(sum.value, at: 22)
    return packet
  }
}
