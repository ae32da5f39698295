// SPDX-License-Identifier: GPL-3.0-or-later
//
// The ports by which forwarding mapping rules tell subscribers of one IPv4 address apart (RFC 7597 §8.2): those of TCP
// and UDP; the identifier of an ICMP query, for either end; for an ICMP error those of the packet it quotes, which went
// the other way.

import RouterKit

/// The ports of an inner packet.
struct InnerPorts: Hashable, Sendable {
  let source: UInt16
  let destination: UInt16

  /// Reads the ports; nothing for protocols without ports, for fragments other than the first, and where the ports are
  /// cut off.
  init?(_ packet: RawSpan, _ header: IPv4Header) {
    self.init(packet, header, at: 0, isQuote: false)
  }

  private init?(_ packet: RawSpan, _ header: IPv4Header, at start: Int, isQuote: Bool) {
    let transport = start &+ header.headerLength
    let end = min(packet.byteCount, start &+ header.totalLength)
    guard header.fragmentOffset == 0, end &- transport >= 8 else { return nil }
    switch header.protocolNumber {
    case IPv4Header.ProtocolNumber.tcp, IPv4Header.ProtocolNumber.udp:
      source = packet.number(at: transport)
      destination = packet.number(at: transport &+ 2)
    case IPv4Header.ProtocolNumber.icmp:
      switch ICMPKind(type: packet.byte(at: transport)) {
      case .query:
        source = packet.number(at: transport &+ 4)
        destination = source
      case .error where !isQuote:
        let quote = transport &+ 8
        guard let quoted = try? IPv4Header(quoted: packet.extracting(quote..<end)),
          let ports = InnerPorts(packet.extracting(0..<end), quoted, at: quote, isQuote: true)
        else { return nil }
        source = ports.destination
        destination = ports.source
      case .error, .other:
        return nil
      }
    default:
      return nil
    }
  }
}

/// What an ICMP message is.
enum ICMPKind {
  case query
  case error
  case other

  init(type: UInt8) {
    self =
      switch type {
      case 0, 8, 13, 14: .query
      case 3, 4, 5, 11, 12: .error
      default: .other
      }
  }
}
