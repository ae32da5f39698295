// SPDX-License-Identifier: GPL-3.0-or-later
//
// ICMPv6 errors about the tunnel's own packets, told to the senders inside (RFC 2473 §8). Anybody can send such an error,
// so it must quote an outer packet as only this router sends it: from its own address, to a far end it uses, IPv4 inside.

import RouterKit

/// Translates errors about outer packets.
struct TunnelErrorTranslator: Sendable {
  /// What an error amounts to.
  struct Result: Hashable, Sendable {
    /// The path MTU to a far end, for packets to come.
    var learned: LearnedMTU?
    /// The packet for the sender inside.
    var answer: [UInt8]?
    /// Why there is no answer.
    var reason: DropReason?
  }

  /// A path MTU.
  struct LearnedMTU: Hashable, Sendable {
    let mtu: Int
    let destination: IPv6Address
  }

  private enum MessageType {
    static let unreachable: UInt8 = 1
    static let tooBig: UInt8 = 2
    static let timeExceeded: UInt8 = 3
    static let parameterProblem: UInt8 = 4
  }

  var configuration: PacketConfiguration

  /// Translates the ICMPv6 message `message`, header and all.
  func translate(_ message: RawSpan) -> Result {
    guard let quote = Quote(message), quote.source == configuration.localAddress else {
      return Result(reason: .errorNotOurs)
    }
    let inner = message.extracting(quote.payload..<message.byteCount)
    guard isFarEnd(quote.destination, of: inner) else { return Result(reason: .errorNotOurs) }
    var result = Result()
    let error: ICMPError
    switch message.byte(at: 0) {
    case MessageType.unreachable:
      error = message.byte(at: 1) == 1 ? .prohibited : .hostUnreachable
    case MessageType.tooBig:
      let mtu = max(Int(message.number(at: 4, as: UInt32.self)), PathMTUCache.minimum)
      result.learned = LearnedMTU(mtu: mtu, destination: quote.destination)
      error = .fragmentationNeeded(mtu: mtu &- PathMTUCache.overhead)
    case MessageType.timeExceeded, MessageType.parameterProblem:
      error = .hostUnreachable
    default:
      return Result(reason: .errorNotOurs)
    }
    guard let header = try? IPv4Header(quoted: inner),
      configuration.innerAddress == nil || header.source == configuration.innerAddress
    else {
      result.reason = .errorNotTranslatable
      return result
    }
    // Who allows fragments needs no news: from now on the kernel fragments the outer packet.
    if message.byte(at: 0) == MessageType.tooBig, !header.forbidsFragmenting { return result }
    result.answer = error.packet(about: inner)
    if result.answer == nil { result.reason = .errorNotTranslatable }
    return result
  }

  /// Whether this router sends packets like `inner` to `destination`.
  private func isFarEnd(_ destination: IPv6Address, of inner: RawSpan) -> Bool {
    if configuration.allowedRelays.contains(destination) { return true }
    guard !configuration.forwarding.isEmpty, let header = try? IPv4Header(quoted: inner),
      let ports = InnerPorts(inner, header)
    else { return false }
    return configuration.forwarding.ceAddress(for: header.destination, port: ports.destination) == destination
  }
}

/// The outer packet that an ICMPv6 error quotes.
private struct Quote {
  let source: IPv6Address
  let destination: IPv6Address
  /// Where in the message the inner packet begins.
  let payload: Int

  /// Reads the quoted IPv6 header; nothing unless IPv4 follows, at once or behind the header of a first fragment.
  init?(_ message: RawSpan) {
    let start = 8
    guard message.byteCount >= start + 40, message.byte(at: start) >> 4 == 6 else { return nil }
    var next = message.byte(at: start + 6)
    var payload = start + 40
    if next == 44 {
      guard message.byteCount >= payload + 8, message.number(at: payload + 2, as: UInt16.self) & 0xfff8 == 0 else {
        return nil
      }
      next = message.byte(at: payload)
      payload += 8
    }
    guard next == 4 else { return nil }
    source = message.ipv6Address(at: start + 8)
    destination = message.ipv6Address(at: start + 24)
    self.payload = payload
  }
}
