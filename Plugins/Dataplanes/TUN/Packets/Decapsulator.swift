// SPDX-License-Identifier: GPL-3.0-or-later
//
// What happens to a packet that comes out of the softwire: whether the sender of the outer packet may send it (RFC 7597
// §8.1), and what its headers must say inside. Whether its port belongs to this router is the NAT's to check, behind
// reassembly.

import RouterKit

/// Decides about packets on their way out of the softwire.
struct Decapsulator: Sendable {
  /// What to do with a packet.
  enum Verdict: Hashable, Sendable {
    /// Hand its first `length` bytes to the kernel.
    case deliver(OffloadHeader, length: Int)
    case drop(DropReason)
  }

  var configuration: PacketConfiguration
  /// Packets of other subscribers whose first fragment was in order.
  private var fragments: BoundedCache<FragmentKey, Bool> = .fragments()

  init(_ configuration: PacketConfiguration) {
    self.configuration = configuration
  }

  /// Decides about the inner packet `packet`, whose congestion marks may be changed.
  /// - Parameter packetSize: the largest packet that a flow takes.
  mutating func handle(
    _ packet: inout MutableRawSpan, from outerSource: IPv6Address, trafficClass: UInt8, now: ContinuousClock.Instant,
    packetSize: (Flow) -> Int
  ) -> Verdict {
    do throws(DropReason) {
      // The outer source first: what others send is not even looked at.
      let isRelay = configuration.allowedRelays.contains(outerSource)
      guard isRelay || !configuration.forwarding.isEmpty else { throw .wrongOuterSource }
      // IPv6 lets a packet from the line pass that claims to come from this router.
      guard outerSource != configuration.localAddress else { throw .loop }
      let header = try IPv4Header(packet.bytes)
      try checkSource(packet.bytes, header, from: outerSource, isRelay: isRelay, now: now)
      if let innerAddress = configuration.innerAddress, header.destination != innerAddress {
        throw .wrongInnerDestination
      }
      let offload = try OffloadHeader(packet.bytes, header, packetSize: packetSize)
      try markCongestion(&packet, header, outer: trafficClass)
      return .deliver(offload, length: header.totalLength)
    } catch {
      return .drop(error)
    }
  }

  private mutating func checkSource(
    _ packet: RawSpan, _ header: IPv4Header, from outerSource: IPv6Address, isRelay: Bool, now: ContinuousClock.Instant
  ) throws(DropReason) {
    if isRelay {
      // A neighbour who shares the address looks the same; the kernel would take him for a martian, too.
      guard header.source != configuration.innerAddress else { throw .spoofedInnerSource }
      return
    }
    guard let rule = configuration.forwarding.rule(for: header.source) else { throw .wrongOuterSource }
    if header.fragmentOffset != 0 {
      guard fragments.value(for: FragmentKey(header, peer: outerSource), now: now) != nil else {
        throw .fragmentWithoutFirst
      }
      return
    }
    guard let ports = InnerPorts(packet, header), rule.ceAddress(for: header.source, port: ports.source) == outerSource
    else { throw .wrongSubscriber }
    if header.hasMoreFragments {
      fragments.store(true, for: FragmentKey(header, peer: outerSource), now: now)
    }
  }

  private func markCongestion(
    _ packet: inout MutableRawSpan, _ header: IPv4Header, outer: UInt8
  ) throws(DropReason) {
    let inner = ExplicitCongestion(header.typeOfService)
    guard let mark = ExplicitCongestion.decapsulated(inner: inner, outer: ExplicitCongestion(outer)) else {
      throw .ecnViolation
    }
    guard mark != inner else { return }
    let old: UInt16 = packet.bytes.number(at: 0)
    let new = old & ~3 | UInt16(mark.rawValue)
    packet.store(new, at: 0)
    packet.store(Checksum.updated(packet.bytes.number(at: 10), from: old, to: new), at: 10)
  }
}
