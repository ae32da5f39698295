// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the packet path needs to know of a tunnel, made once per change so that no packet waits for it.

import RouterKit

/// The tunnel as the packet path sees it.
struct PacketConfiguration: Hashable, Sendable {
  let localAddress: IPv6Address
  let relay: IPv6Address
  /// Few: compared one after another.
  let allowedRelays: [IPv6Address]
  let innerAddress: IPv4Address?
  let forwarding: ForwardingTable
  /// The inner MTU.
  let mtu: Int

  init(_ tunnel: TunnelSpec) {
    localAddress = tunnel.localAddress
    relay = tunnel.relay
    allowedRelays = [tunnel.relay] + tunnel.allowedRelays.filter { $0 != tunnel.relay }
    innerAddress = tunnel.innerAddress
    forwarding = ForwardingTable(tunnel.forwardingRules)
    mtu = tunnel.mtu
  }
}

/// Names the fragments of one inner packet.
struct FragmentKey: Hashable, Sendable {
  let peer: IPv6Address
  let source: IPv4Address
  let destination: IPv4Address
  let identification: UInt16
  let protocolNumber: UInt8

  /// - Parameter peer: the outer source; all zero on the way out, where the peer is what is looked for.
  init(_ header: IPv4Header, peer: IPv6Address = IPv6Address(bits: 0)) {
    self.peer = peer
    source = header.source
    destination = header.destination
    identification = header.identification
    protocolNumber = header.protocolNumber
  }
}

extension BoundedCache where Key == FragmentKey {
  /// A cache of fragments in flight; 30 seconds are how long the kernel collects fragments.
  static func fragments() -> BoundedCache {
    BoundedCache(capacity: 2048, lifetime: .seconds(30))
  }
}
