// SPDX-License-Identifier: GPL-3.0-or-later
//
// How large the segments of a TCP flow may be when merged packets are cut up again (see `OffloadHeader`). Both limits pass
// through on their way out: what the host inside asked for stands in its SYN, and a narrower link further inside answers
// with "fragmentation needed". For a flow of which neither was seen the device's MTU is the limit; if that is too much,
// the second kind of news comes at once.

import RouterKit

/// A TCP flow, from this side.
struct Flow: Hashable, Sendable {
  let local: IPv4Address
  let localPort: UInt16
  let remote: IPv4Address
  let remotePort: UInt16
}

/// The largest packets that flows take.
struct SegmentSizes: Sendable {
  private var sizes = BoundedCache<Flow, Int>(capacity: 8192, lifetime: .seconds(7200))

  /// The largest packet for `flow`, at most `limit`.
  mutating func packetSize(for flow: Flow, limit: Int, now: ContinuousClock.Instant) -> Int {
    min(limit, sizes.value(for: flow, now: now) ?? limit)
  }

  /// Learns from a packet on its way out, if it tells anything.
  mutating func learn(_ news: News, now: ContinuousClock.Instant) {
    var size = news.packetSize
    if !news.isBeginning, let known = sizes.value(for: news.flow, now: now) { size = min(size, known) }
    sizes.store(size, for: news.flow, now: now)
  }

  /// What one packet tells.
  struct News: Hashable, Sendable {
    let flow: Flow
    let packetSize: Int
    /// The flow begins: what was known of an older one with its ports does not count.
    let isBeginning: Bool
  }
}

extension SegmentSizes.News {
  /// Smaller figures are nonsense or an attempt to make us send confetti; every host takes 576 (RFC 791).
  private static let minimum = 576

  /// Reads what a packet on its way out tells; mostly nothing.
  init?(_ packet: RawSpan, _ header: IPv4Header) {
    guard header.fragmentOffset == 0 else { return nil }
    switch header.protocolNumber {
    case IPv4Header.ProtocolNumber.tcp: self.init(synchronizing: packet, header)
    case IPv4Header.ProtocolNumber.icmp: self.init(fragmentationNeeded: packet, header)
    default: return nil
    }
  }

  private init?(synchronizing packet: RawSpan, _ header: IPv4Header) {
    let transport = header.headerLength
    guard packet.byte(at: transport &+ 13) & 2 != 0 else { return nil }
    let end = min(transport &+ Int(packet.byte(at: transport &+ 12) >> 4) &* 4, header.totalLength)
    var option = transport &+ 20
    // Without the option the size is the one that every host takes (RFC 9293 §3.7.1).
    var segmentSize = 536
    options: while option < end {
      switch packet.byte(at: option) {
      case 0: break options
      case 1: option &+= 1
      case 2 where packet.byte(at: option &+ 1) == 4 && option &+ 4 <= end:
        segmentSize = Int(packet.number(at: option &+ 2, as: UInt16.self))
        break options
      default:
        let length = Int(packet.byte(at: option &+ 1))
        guard length >= 2 else { break options }
        option &+= length
      }
    }
    flow = Flow(
      local: header.source, localPort: packet.number(at: transport),
      remote: header.destination, remotePort: packet.number(at: transport &+ 2))
    packetSize = max(segmentSize &+ 40, Self.minimum)
    isBeginning = true
  }

  private init?(fragmentationNeeded packet: RawSpan, _ header: IPv4Header) {
    let transport = header.headerLength
    guard packet.byte(at: transport) == 3, packet.byte(at: transport &+ 1) == 4,
      header.totalLength &- transport >= 8,
      let quoted = try? IPv4Header(quoted: packet.extracting((transport &+ 8)..<header.totalLength)),
      quoted.protocolNumber == IPv4Header.ProtocolNumber.tcp, let ports = InnerPorts(packet, header)
    else { return nil }
    flow = Flow(
      local: quoted.destination, localPort: ports.source, remote: quoted.source, remotePort: ports.destination)
    packetSize = max(Int(packet.number(at: transport &+ 6, as: UInt16.self)), Self.minimum)
    isBeginning = false
  }
}
