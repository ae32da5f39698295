// SPDX-License-Identifier: GPL-3.0-or-later
//
// What happens to a packet that the router sends into the softwire. Packets arrive behind the NAT, so addresses and ports
// are those that the world sees.
//
// The outer header itself is the kernel's: the raw socket adds it, with the far end and the traffic class that are decided
// here. It also fragments the outer packet where the path is too narrow (RFC 2473 §7.2, RFC 6333 §5.3); only a sender that
// forbids fragmenting is told instead.

import RouterKit

/// Decides about packets on their way into the softwire.
struct Encapsulator: Sendable {
  /// What to do with a packet.
  enum Verdict: Hashable, Sendable {
    /// Send its first `length` bytes to `destination`.
    case send(to: IPv6Address, trafficClass: UInt8, length: Int)
    /// Tell the sender that only `mtu` bytes pass.
    case tooBig(mtu: Int)
    case drop(DropReason)
  }

  var configuration: PacketConfiguration
  /// Where the first fragments of packets to other subscribers went.
  private var fragments: BoundedCache<FragmentKey, IPv6Address> = .fragments()

  init(_ configuration: PacketConfiguration) {
    self.configuration = configuration
  }

  /// Decides about `packet`.
  /// - Parameter pathMTU: the size of outer packets that a far end can be reached with.
  mutating func handle(
    _ packet: RawSpan, now: ContinuousClock.Instant, pathMTU: (IPv6Address) -> Int
  ) -> Verdict {
    let header: IPv4Header
    do throws(DropReason) {
      header = try IPv4Header(packet)
    } catch {
      return .drop(error)
    }
    guard header.timeToLive > 0 else { return .drop(.timeToLiveExpired) }
    if let innerAddress = configuration.innerAddress, header.source != innerAddress {
      return .drop(.wrongInnerSource)
    }
    let destination = destination(packet, header, now: now)
    guard destination != configuration.localAddress else { return .drop(.loop) }
    // Every path carries the minimum, so most packets need no look at the cache.
    if header.forbidsFragmenting, header.totalLength > PathMTUCache.minimum &- PathMTUCache.overhead {
      let mtu = pathMTU(destination) &- PathMTUCache.overhead
      if header.totalLength > mtu { return .tooBig(mtu: mtu) }
    }
    // DSCP and, in the normal mode of RFC 6040, ECN.
    return .send(to: destination, trafficClass: header.typeOfService, length: header.totalLength)
  }

  private mutating func destination(
    _ packet: RawSpan, _ header: IPv4Header, now: ContinuousClock.Instant
  ) -> IPv6Address {
    guard !configuration.forwarding.isEmpty, let rule = configuration.forwarding.rule(for: header.destination) else {
      return configuration.relay
    }
    if header.fragmentOffset != 0 {
      return fragments.value(for: FragmentKey(header), now: now) ?? configuration.relay
    }
    guard let ports = InnerPorts(packet, header),
      let peer = rule.ceAddress(for: header.destination, port: ports.destination)
    else { return configuration.relay }
    if header.hasMoreFragments { fragments.store(peer, for: FragmentKey(header), now: now) }
    return peer
  }
}
