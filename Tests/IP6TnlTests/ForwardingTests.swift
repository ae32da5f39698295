// SPDX-License-Identifier: GPL-3.0-or-later
//
// Packets through the kernel's tunnels as this dataplane sets them up.

import Glibc
import Netlink
import RouterKit
import TestSupport
import Testing

@testable import IP6Tnl

@Suite(.serialized, .enabled(if: kernelHasTunnels, "this kernel has no ip6_tunnel")) struct ForwardingTests {
  private func withLine(_ body: (TunnelSpec, Wan) throws -> Void) throws {
    try inNetworkNamespace {
      let spec = try Line.tunnel()
      let wan = try Wan(spec)
      try IP6TnlEngine(log: SilentLog()).apply(spec)
      try wan.configureIPv4(SoftwireDevice.devices(for: spec).map(\.name))
      try body(spec, wan)
    }
  }

  @Test func whatLeavesIsPlainIPv4InIPv6() throws {
    try withLine { spec, wan in
      // DSCP stays inside; of the congestion bits a copy is outside.
      let socket = try PeerSocket(typeOfService: 0xb8 | 2)
      #expect(socket.send(10) == 0)
      let packet = try #require(try wan.receive())
      #expect(packet.source == spec.localAddress && packet.destination == spec.relay)
      #expect(packet.nextHeader == 4 && packet.hopLimit == 64)
      #expect(packet.trafficClass == 2)
      #expect(packet.payload[0] == 0x45 && packet.payload[1] == 0xb8 | 2 && packet.payload.count == 38)
    }
  }

  @Test func everyAllowedRelayIsHeardAndNobodyElse() throws {
    try withLine { spec, wan in
      let socket = try PeerSocket()
      for (position, relay) in spec.allowedRelays.enumerated() {
        try wan.send([UInt8(position)], to: socket, from: relay)
        #expect(socket.receive() == [UInt8(position)])
      }
      for stranger in ["2001:260:700:1::1:277", "2001:db8::1", "\(spec.localAddress)"] {
        try wan.send([9], to: socket, from: IPv6Address(stranger))
      }
      #expect(socket.receive() == nil)
      // The silence was not the socket's.
      try wan.send([7], to: socket, from: spec.relay)
      #expect(socket.receive() == [7])
    }
  }

  @Test func theRouteChoosesTheRelay() throws {
    try withLine { spec, wan in
      let socket = try PeerSocket()
      for (name, relay) in [("softwire0", 0), ("softwire1", 1), ("softwire0", 0)] {
        try shell("ip route replace default dev \(name) src \(try #require(spec.innerAddress))")
        #expect(socket.send(1) == 0)
        #expect(try wan.receive()?.destination == spec.allowedRelays[relay])
      }
    }
  }

  @Test func changedEndsCarryPacketsAtOnce() throws {
    try withLine { spec, wan in
      let socket = try PeerSocket()
      let other = try IPv6Address("2404:7a82:4d02:4200::1")
      try wan.addAddress(other)
      for round in 0..<10 {
        var changed = spec
        if round % 2 == 0 { changed.localAddress = other }
        try IP6TnlEngine(log: SilentLog()).apply(changed)
        #expect(socket.send(1) == 0)
        let packet = try #require(try wan.receive())
        #expect(packet.source == changed.localAddress && packet.destination == changed.relay)
      }
    }
  }

  @Test func whatIsTooLargeIsToldOrCutInside() throws {
    try withLine { spec, wan in
      let strict = try PeerSocket(forbidsFragmenting: true)
      #expect(strict.send(1460 - 28) == 0)
      #expect(try wan.receive()?.payload.count == 1460)
      #expect(strict.send(1460 - 28 + 1) == EMSGSIZE)
      #expect(strict.pathMTU == 1460)
    }
    try withLine { spec, wan in
      // Without DF the kernel cuts the inner packet, and each part is a packet of its own outside.
      let loose = try PeerSocket()
      #expect(loose.send(2000) == 0)
      let parts = [try #require(try wan.receive()), try #require(try wan.receive())]
      #expect(parts.allSatisfy { $0.nextHeader == 4 && $0.payload.count <= 1460 })
      #expect(parts.map { $0.payload[6] & 0x20 } == [0x20, 0])
      #expect(parts.reduce(0) { $0 + $1.payload.count - 20 } == 2008)
    }
  }

  @Test func aNarrowHopOnTheLineNarrowsThePath() throws {
    try withLine { spec, wan in
      let socket = try PeerSocket(forbidsFragmenting: true)
      #expect(socket.send(1400) == 0)
      let packet = try #require(try wan.receive())
      try wan.sendTooBig(1400, about: packet)
      // The next one that is too large is refused, and the path is known from then on.
      var results: [CInt] = []
      for _ in 0..<3 { results.append(socket.send(1400)) }
      #expect(results.contains(EMSGSIZE), "\(results)")
      #expect(socket.pathMTU == 1360)
      #expect(socket.send(1360 - 28) == 0)
    }
  }
}
