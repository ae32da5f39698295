// SPDX-License-Identifier: GPL-3.0-or-later
//
// The dataplane with a real kernel on both sides. See FakeLine for the topology.

import Glibc
import RouterKit
import TestSupport
import Testing

@testable import TUN

private let remote = IPv4Address(198, 51, 100, 1)

@Suite(.serialized) struct ForwardingTests {
  /// Runs `body` on a line on which the dataplane forwards and IPv4 is configured.
  private func onLine(
    _ tunnel: TunnelSpec? = nil, mtu: UInt32 = 1500, _ body: (FakeLine, TUNEngine) throws -> Void
  ) throws {
    try inNetworkNamespace {
      let line = try FakeLine(try tunnel ?? Line.tunnel(), mtu: mtu)
      let engine = TUNEngine(log: SilentLog())
      try engine.apply(line.tunnel)
      try line.configureIPv4()
      try body(line, engine)
    }
  }

  private func count(_ engine: TUNEngine, _ reason: DropReason) -> UInt64? {
    engine.counters()[reason.rawValue]
  }

  private func connectedUDP(discovery: CInt = IP_PMTUDISC_DO) throws -> HostSocket {
    let socket = try HostSocket(type: SOCK_DGRAM, port: 5136)
    socket.set(CInt(IPPROTO_IP), IP_MTU_DISCOVER, discovery)
    #expect(socket.connect(to: remote, 7) == 0)
    return socket
  }

  @Test func pingGoesOutAndItsReplyComesBack() throws {
    try onLine { line, engine in
      let socket = try HostSocket(type: SOCK_RAW, protocolNumber: CInt(IPPROTO_ICMP))
      socket.set(CInt(IPPROTO_IP), IP_TOS, 0xb8)
      #expect(socket.connect(to: remote, 0) == 0)
      let request = Array(
        PacketBuilder.icmp(Line.ipv4, remote, type: 8, rest: [5140, 1], data: [1, 2, 3, 4]).payload)
      #expect(socket.send(request) == 0)
      let outer = try #require(try line.receive())
      #expect(outer.source == line.tunnel.localAddress && outer.destination == line.tunnel.relay)
      #expect(outer.nextHeader == 4 && outer.hopLimit == 64 && outer.trafficClass == 0xb8)
      let inner = try IPv4Header(outer.payload.span.bytes)
      #expect(inner.totalLength == outer.payload.count && inner.source == Line.ipv4 && inner.destination == remote)
      #expect(Array(outer.payload.dropFirst(20)) == request)
      let reply = PacketBuilder.icmp(remote, Line.ipv4, type: 0, rest: [5140, 1], data: [1, 2, 3, 4]).bytes
      try line.send(inner: reply)
      #expect(socket.receive() == reply)
      // Nothing was dropped and the kernel has sent no complaint about the protocol.
      #expect(engine.counters().filter { $0.value != 0 && $0.key != "not_ipv4" }.isEmpty)
      #expect(try line.receive(nextHeader: 58, milliseconds: 50).map { $0.payload[0] != 4 } != false)
    }
  }

  @Test func datagramsWithoutChecksumAndManyInARow() throws {
    try onLine { line, _ in
      let socket = try connectedUDP()
      socket.set(SOL_SOCKET, SO_NO_CHECK, 1)
      let numbers = [UInt8](0..<200)
      #expect(numbers.allSatisfy { socket.send([$0]) == 0 })
      let sent = try numbers.map { _ in try #require(try line.receive()).payload.dropFirst(20) }
      #expect(sent.map(Array.init) == numbers.map { words([5136, 7, 9, 0]) + [$0] })
      for number in numbers {
        var packet = PacketBuilder.udp(remote, 7, Line.ipv4, 5136)
        packet.payload = words([7, 5136, 9, 0]) + [number]
        try line.send(inner: packet.bytes)
      }
      #expect(try numbers.map { _ in try #require(socket.receive()) } == numbers.map { [$0] })
    }
  }

  @Test func strangersAreCountedAndHeardByNobody() throws {
    try onLine { line, engine in
      let socket = try connectedUDP()
      func reply(_ data: [UInt8]) -> [UInt8] { PacketBuilder.udp(remote, 7, Line.ipv4, 5136, data: data).bytes }
      try line.send(inner: reply([1]), from: try IPv6Address("2001:db8::bad"))
      try line.send(inner: PacketBuilder.udp(remote, 7, IPv4Address(133, 209, 13, 3), 5136, data: [2]).bytes)
      try line.send(inner: PacketBuilder.udp(Line.ipv4, 7, Line.ipv4, 5136, data: [3]).bytes)
      try line.send(inner: reply([4]), trafficClass: 3)
      try line.send(inner: Array(reply([5]).dropLast()))
      // The other relay may send.
      try line.send(inner: reply([6]), from: line.tunnel.allowedRelays[1])
      try line.send(inner: reply([7]))
      #expect(socket.receive() == [6])
      #expect(socket.receive() == [7])
      for reason: DropReason in [
        .wrongOuterSource, .wrongInnerDestination, .spoofedInnerSource, .ecnViolation, .truncated,
      ] {
        #expect(count(engine, reason) == 1, "\(reason)")
      }
    }
  }

  @Test func packetTooBigReachesTheSenderInside() throws {
    try onLine { line, engine in
      let socket = try connectedUDP()
      #expect(socket.send(Array(repeating: 1, count: 1432)) == 0)
      let outer = try #require(try line.receive())
      #expect(outer.payload.count == 1460)
      #expect(socket.get(CInt(IPPROTO_IP), IP_MTU) == 1460)
      try line.sendError(type: 2, value: 1340, about: outer)
      #expect(eventually { socket.get(CInt(IPPROTO_IP), IP_MTU) == 1300 })
      #expect(count(engine, .errorTranslated) == 1)
      #expect(socket.send(Array(repeating: 1, count: 1400)) == EMSGSIZE)
      // Who does not believe in path MTUs is told again, by the dataplane itself. (Reading the error clears it.)
      _ = socket.get(SOL_SOCKET, SO_ERROR)
      socket.set(CInt(IPPROTO_IP), IP_MTU_DISCOVER, IP_PMTUDISC_PROBE)
      #expect(socket.send(Array(repeating: 1, count: 1400)) == 0)
      #expect(eventually { count(engine, .tooBig) == 1 })
      #expect(eventually { socket.send(Array(repeating: 2, count: 1272)) == 0 })
      #expect(try line.receive()?.payload.count == 1300)
    }
  }

  @Test func forgedErrorsChangeNothing() throws {
    try onLine { line, engine in
      let socket = try connectedUDP()
      #expect(socket.send(Array(repeating: 1, count: 1432)) == 0)
      let outer = try #require(try line.receive())
      var forged = outer
      forged.destination = try IPv6Address("2001:db8::1")
      try line.sendError(type: 2, value: 1300, about: forged)
      #expect(eventually { count(engine, .errorNotOurs) == 1 })
      #expect(socket.send(Array(repeating: 1, count: 1432)) == 0)
      #expect(try line.receive()?.payload.count == 1460)
    }
  }

  @Test func unreachableReachesTheSenderInside() throws {
    try onLine { line, engine in
      for (code, expected) in [(UInt8(0), EHOSTUNREACH), (1, EHOSTUNREACH)] {
        let socket = try connectedUDP()
        socket.set(CInt(IPPROTO_IP), IP_RECVERR, 1)
        #expect(socket.send([1]) == 0)
        let outer = try #require(try line.receive())
        try line.sendError(type: 1, code: code, about: outer)
        #expect(eventually { socket.get(SOL_SOCKET, SO_ERROR) == expected })
      }
      #expect(count(engine, .errorTranslated) == 2)
    }
  }

  @Test func aNarrowLineFragmentsOutsideAndTellsWhoForbidsIt() throws {
    try onLine(mtu: 1400) { line, engine in
      let socket = try connectedUDP()
      #expect(socket.send(Array(repeating: 1, count: 1332)) == 0)
      #expect(try line.receive()?.payload.count == 1360)
      #expect(socket.send(Array(repeating: 1, count: 1333)) == 0)
      #expect(eventually { socket.get(CInt(IPPROTO_IP), IP_MTU) == 1360 })
      #expect(count(engine, .tooBig) == 1)

      let fragmenting = try HostSocket(type: SOCK_DGRAM, port: 5137)
      fragmenting.set(CInt(IPPROTO_IP), IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
      let elsewhere = IPv4Address(198, 51, 100, 2)
      #expect(fragmenting.connect(to: elsewhere, 7) == 0)
      let data = (0..<1432).map { UInt8(truncatingIfNeeded: $0) }
      #expect(fragmenting.send(data) == 0)
      let first = try #require(try line.receive())
      let second = try #require(try line.receive())
      #expect(first.nextHeader == 44 && second.nextHeader == 44)
      #expect(first.payload[0] == 4 && word(first.payload, 2) == 1)
      // The inner packet is whole: fragments are the outer packet's (RFC 6333 §5.3).
      let inner = Array(first.payload.dropFirst(8) + second.payload.dropFirst(8))
      let header = try IPv4Header(inner.span.bytes)
      #expect(header.totalLength == 1460 && !header.isFragment)
      let isWhole = Array(inner.dropFirst(28)) == data
      #expect(isWhole)
    }
  }

  @Test func outerFragmentsArriveWhole() throws {
    try onLine { line, engine in
      let socket = try connectedUDP()
      let data = (0..<1472).map { UInt8(truncatingIfNeeded: $0 &* 7) }
      try line.send(inner: PacketBuilder.udp(remote, 7, Line.ipv4, 5136, data: data).bytes, inFragmentsOf: 1232)
      #expect(socket.receive().map { $0 == data } == true, "\(engine.counters().filter { $0.value > 0 })")
    }
  }

  @Test func congestionMarksArriveInside() throws {
    try onLine { line, _ in
      let socket = try HostSocket(type: SOCK_RAW, protocolNumber: CInt(IPPROTO_ICMP))
      var packet = PacketBuilder.icmp(remote, Line.ipv4, type: 0, rest: [5140, 1])
      packet.typeOfService = 0x02
      try line.send(inner: packet.bytes, trafficClass: 0x03)
      packet.typeOfService = 0x03
      #expect(socket.receive() == packet.bytes)
    }
  }

  /// A TCP connection of which the test is the far end; nothing is ever acknowledged but the beginning.
  private final class Connection {
    let socket: HostSocket
    private let acknowledgement: UInt32
    private var sequence: UInt32 = 1

    init(_ line: FakeLine) throws {
      socket = try HostSocket(type: SOCK_STREAM, port: 5136)
      socket.set(CInt(IPPROTO_TCP), TCP_MAXSEG, 1000)
      // Not blocking: the test is the other side, too.
      try #require(fcntl(socket.descriptor, F_SETFL, O_NONBLOCK) == 0)
      try #require(socket.connect(to: remote, 443) == EINPROGRESS)
      let request = try #require(try line.receive()).payload
      acknowledgement = (UInt32(word(request, 24)) << 16 | UInt32(word(request, 26))) &+ 1
      // A window of 65535 bytes, segments of at most 1000.
      try line.send(inner: segment(flags: 0x12, options: [2, 4, 0x03, 0xe8]).bytes)
      sequence = 2
      try #require(try line.receive() != nil)
    }

    func segment(flags: UInt8, options: [UInt8] = [], data: [UInt8] = []) -> PacketBuilder {
      var packet = PacketBuilder.tcp(remote, 443, Line.ipv4, 5136, flags: flags, options: options, data: data)
      let numbers = [sequence, acknowledgement].flatMap { [UInt16($0 >> 16), UInt16($0 & 0xffff)] }
      packet.payload.replaceSubrange(4..<12, with: words(numbers))
      packet.payload.replaceSubrange(16..<18, with: [0, 0])
      let pseudo = pseudoHeader(remote, Line.ipv4, 6, packet.payload.count)
      packet.payload.replaceSubrange(16..<18, with: words([internetChecksum(pseudo + packet.payload)]))
      return packet
    }
  }

  /// The kernel merges segments of TCP on their way in and hands the merged packet to raw sockets. Outer fragments make
  /// such a packet arrive here.
  @Test func mergedSegmentsReachTheHostInside() throws {
    try onLine { line, engine in
      let connection = try Connection(line)
      let data = (0..<20_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
      let merged = connection.segment(flags: 0x18, data: data).bytesWithPartialChecksum
      try line.send(inner: merged, inFragmentsOf: 1448)
      var received: [UInt8] = []
      let isComplete = eventually {
        received += connection.socket.receive() ?? []
        return received.count >= data.count
      }
      #expect(isComplete)
      let isWhole = received == data
      #expect(isWhole)
      #expect(engine.counters().filter { $0.value != 0 && $0.key != "not_ipv4" }.isEmpty)
    }
  }

  /// The kernel hands over what a host sends in long runs; on the line are segments.
  @Test func runsLeaveAsSegments() throws {
    try onLine { line, engine in
      let connection = try Connection(line)
      // The first window of a connection: ten segments.
      let data = (0..<10_000).map { UInt8(truncatingIfNeeded: $0 &* 37 >> 2) }
      #expect(connection.socket.send(data) == 0)
      var received: [UInt8] = []
      while received.count < data.count, let outer = try line.receive() {
        let header = try IPv4Header(outer.payload.span.bytes)
        let segment = Array(outer.payload.dropFirst(20))
        #expect(header.totalLength == outer.payload.count && header.totalLength <= 1040)
        #expect(internetChecksum(Array(outer.payload.prefix(20))) == 0)
        #expect(internetChecksum(pseudoHeader(Line.ipv4, remote, 6, segment.count) + segment) == 0)
        received += segment.dropFirst(Int(segment[12] >> 4) * 4)
      }
      let isWhole = received == data
      #expect(isWhole)
    }
  }

  @Test func withoutARuleAnyInnerAddressPasses() throws {
    let aftr = try IPv6Address("2404:8e00::feed:101")
    let softwire = DSLiteSoftwire(userPrefix: try IPv6Prefix(Line.prefix), aftr: aftr)
    let tunnel = TunnelSpec(deviceName: "softwire0", softwire: .dsLite(softwire), mtu: 1460)
    try onLine(tunnel) { line, _ in
      let socket = try HostSocket(type: SOCK_DGRAM, port: 40000, address: DSLiteSoftwire.b4IPv4Address)
      #expect(socket.connect(to: remote, 7) == 0)
      #expect(socket.send([1]) == 0)
      let outer = try #require(try line.receive())
      #expect(outer.destination == aftr && outer.source == softwire.b4Address)
      try line.send(inner: PacketBuilder.udp(remote, 7, DSLiteSoftwire.b4IPv4Address, 40000, data: [2]).bytes)
      #expect(socket.receive() == [2])
    }
  }

  @Test func subscribersTalkDirectlyInMesh() throws {
    try onLine(try Line.tunnel(mesh: true)) { line, engine in
      let address = IPv4Address(133, 209, 13, 3)
      let socket = try HostSocket(type: SOCK_DGRAM, port: 5136)
      #expect(socket.connect(to: address, 62495) == 0)
      #expect(socket.send([1]) == 0)
      #expect(try line.receive()?.destination == (try Line.subscriber()))
      let reply = PacketBuilder.udp(address, 62495, Line.ipv4, 5136, data: [2]).bytes
      try line.send(inner: reply, from: try Line.neighbour())
      try line.send(inner: reply, from: try Line.subscriber())
      #expect(socket.receive() == [2])
      #expect(count(engine, .wrongSubscriber) == 1)
    }
  }
}
