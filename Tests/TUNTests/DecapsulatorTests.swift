// SPDX-License-Identifier: GPL-3.0-or-later

import RouterKit
import Testing

@testable import TUN

private let remote = IPv4Address(198, 51, 100, 1)

@Suite struct DecapsulatorTests {
  private let now = ContinuousClock.now
  private let relay: IPv6Address
  private let otherRelay: IPv6Address
  private var hub: Decapsulator
  private var mesh: Decapsulator

  init() throws {
    let tunnel = try Line.tunnel()
    relay = tunnel.relay
    otherRelay = try IPv6Address("2404:9200:225:100::64")
    hub = Decapsulator(PacketConfiguration(tunnel))
    mesh = Decapsulator(PacketConfiguration(try Line.tunnel(mesh: true)))
  }

  private func handle(
    _ decapsulator: inout Decapsulator, _ packet: inout [UInt8], from source: IPv6Address, trafficClass: UInt8 = 0
  ) -> Decapsulator.Verdict {
    var span = packet.mutableSpan
    var bytes = span.mutableBytes
    return decapsulator.handle(&bytes, from: source, trafficClass: trafficClass, now: now) { _ in 1460 }
  }

  private func handle(
    _ decapsulator: inout Decapsulator, _ builder: PacketBuilder, from source: IPv6Address
  ) -> Decapsulator.Verdict {
    var packet = builder.bytes
    return handle(&decapsulator, &packet, from: source)
  }

  @Test mutating func acceptsEveryAllowedRelayAndNobodyElse() throws {
    let packet = PacketBuilder.udp(remote, 7, Line.ipv4, 5136)
    #expect(handle(&hub, packet, from: relay) == .deliver(.none, length: 28))
    #expect(handle(&hub, packet, from: otherRelay) == .deliver(.none, length: 28))
    for stranger in ["2001:db8::1", "2001:260:700:1::1:276", "::"] {
      #expect(handle(&hub, packet, from: try IPv6Address(stranger)) == .drop(.wrongOuterSource))
    }
    // In mesh an address outside every rule is still a stranger.
    #expect(handle(&mesh, packet, from: try IPv6Address("2001:db8::1")) == .drop(.wrongOuterSource))
  }

  @Test mutating func checksInnerAddresses() {
    #expect(
      handle(&hub, .udp(remote, 7, IPv4Address(133, 209, 13, 3), 5136), from: relay) == .drop(.wrongInnerDestination))
    #expect(handle(&hub, .udp(Line.ipv4, 7, Line.ipv4, 5136), from: relay) == .drop(.spoofedInnerSource))
    // The port is the NAT's to check.
    #expect(handle(&hub, .udp(remote, 7, Line.ipv4, 1), from: relay) == .deliver(.none, length: 28))
  }

  @Test mutating func anyInnerDestinationIsRightWithoutARule() throws {
    let dsLite = DSLiteSoftwire(userPrefix: try IPv6Prefix(Line.prefix), aftr: relay)
    var decapsulator = Decapsulator(
      PacketConfiguration(TunnelSpec(deviceName: "softwire0", softwire: .dsLite(dsLite), mtu: 1460)))
    let packet = PacketBuilder.udp(remote, 7, IPv4Address(192, 168, 1, 2), 40000)
    #expect(handle(&decapsulator, packet, from: relay) == .deliver(.none, length: 28))
    #expect(handle(&decapsulator, packet, from: otherRelay) == .drop(.wrongOuterSource))
  }

  @Test mutating func subscribersMayUseTheirOwnAddressAndPortsOnly() throws {
    let subscriber = try Line.subscriber()
    let address = IPv4Address(133, 209, 13, 3)
    let right = PacketBuilder.udp(address, 5136, Line.ipv4, 5137)
    #expect(handle(&mesh, right, from: subscriber) == .deliver(.none, length: 28))
    #expect(handle(&hub, right, from: subscriber) == .drop(.wrongOuterSource))
    #expect(handle(&mesh, .udp(address, 5152, Line.ipv4, 5137), from: subscriber) == .drop(.wrongSubscriber))
    #expect(handle(&mesh, .udp(address, 80, Line.ipv4, 5137), from: subscriber) == .drop(.wrongSubscriber))
    #expect(
      handle(&mesh, .udp(IPv4Address(133, 209, 13, 4), 5136, Line.ipv4, 5137), from: subscriber)
        == .drop(.wrongSubscriber))
    #expect(handle(&mesh, .udp(remote, 5136, Line.ipv4, 5137), from: subscriber) == .drop(.wrongOuterSource))
    #expect(
      handle(&mesh, PacketBuilder(source: address, destination: Line.ipv4, protocolNumber: 47), from: subscriber)
        == .drop(.wrongSubscriber))
    #expect(
      handle(&mesh, .udp(address, 5136, IPv4Address(133, 209, 13, 9), 5137), from: subscriber)
        == .drop(.wrongInnerDestination))
    // Whoever shares our address has other ports.
    #expect(
      handle(&mesh, .udp(Line.ipv4, 5152, Line.ipv4, 5137), from: try Line.neighbour()) == .deliver(.none, length: 28))
    #expect(
      handle(&mesh, .udp(Line.ipv4, 5136, Line.ipv4, 5137), from: try Line.neighbour()) == .drop(.wrongSubscriber))
    // Not even this router itself.
    #expect(
      handle(&mesh, .udp(Line.ipv4, 5136, Line.ipv4, 5137), from: try Line.tunnel().localAddress) == .drop(.loop))
    // Ping and error.
    #expect(
      handle(&mesh, .icmp(address, Line.ipv4, type: 8, rest: [5136, 1]), from: subscriber)
        == .deliver(.none, length: 28))
    let quote = PacketBuilder.udp(Line.ipv4, 5137, address, 5136).bytes
    #expect(
      handle(&mesh, .icmp(address, Line.ipv4, type: 3, code: 3, data: quote), from: subscriber)
        == .deliver(.none, length: 56))
  }

  @Test mutating func fragmentsOfSubscribersFollowTheirFirst() throws {
    let subscriber = try Line.subscriber()
    var first = PacketBuilder.udp(
      IPv4Address(133, 209, 13, 3), 5136, Line.ipv4, 5137, data: Array(repeating: 0, count: 8))
    first.hasMoreFragments = true
    let second = PacketBuilder(
      source: first.source, destination: Line.ipv4, fragmentOffset: 16, payload: [1, 2, 3])
    #expect(handle(&mesh, second, from: subscriber) == .drop(.fragmentWithoutFirst))
    #expect(handle(&mesh, first, from: subscriber) == .deliver(.none, length: 36))
    #expect(handle(&mesh, second, from: subscriber) == .deliver(.none, length: 23))
    #expect(handle(&mesh, second, from: try Line.neighbour()) == .drop(.fragmentWithoutFirst))
    // From a relay any fragment passes: the NAT sees it reassembled.
    #expect(
      handle(&hub, PacketBuilder(source: remote, destination: Line.ipv4, fragmentOffset: 16, payload: [1]), from: relay)
        == .deliver(.none, length: 21))
  }

  @Test mutating func carriesCongestionMarksInside() {
    var builder = PacketBuilder.udp(remote, 7, Line.ipv4, 5136)
    builder.typeOfService = 0xb8
    var packet = builder.bytes
    #expect(handle(&hub, &packet, from: relay, trafficClass: 3) == .drop(.ecnViolation))
    #expect(handle(&hub, &packet, from: relay, trafficClass: 1) == .deliver(.none, length: 28))
    #expect(packet == builder.bytes)
    builder.typeOfService = 0xba
    packet = builder.bytes
    #expect(handle(&hub, &packet, from: relay, trafficClass: 0x03) == .deliver(.none, length: 28))
    builder.typeOfService = 0xbb
    // DSCP stays the inner one, and the header's checksum is right.
    #expect(packet == builder.bytes)
  }
}

@Suite struct OffloadHeaderTests {
  private func header(_ packet: [UInt8], size: Int = 1460) -> Result<OffloadHeader, DropReason> {
    do throws(DropReason) {
      let bytes = packet.span.bytes
      return .success(try OffloadHeader(bytes, try IPv4Header(bytes)) { _ in size })
    } catch {
      return .failure(error)
    }
  }

  @Test func wholePacketsNeedNothing() {
    for packet in [
      PacketBuilder.udp(data: Array(repeating: 1, count: 1472)),
      PacketBuilder.tcp(remote, 443, Line.ipv4, 5136, data: Array(repeating: 1, count: 1460)),
      PacketBuilder.icmp(remote, Line.ipv4, type: 0), PacketBuilder(protocolNumber: 6, payload: [1, 2]),
    ] {
      #expect(header(packet.bytes) == .success(.none))
    }
  }

  @Test func mergedSegmentsAreCutToSize() {
    let packet = PacketBuilder.tcp(
      remote, 443, Line.ipv4, 5136, options: Array(repeating: 1, count: 12), data: Array(repeating: 9, count: 40_000))
    var asked: Flow?
    let bytes = packet.bytesWithPartialChecksum
    let result = try? OffloadHeader(bytes.span.bytes, IPv4Header(bytes.span.bytes)) {
      asked = $0
      return 1300
    }
    #expect(asked == Flow(local: Line.ipv4, localPort: 5136, remote: remote, remotePort: 443))
    var expected = OffloadHeader.none
    expected.flags = 1
    expected.segmentationType = 1
    expected.headerLength = 52
    expected.segmentSize = 1248
    expected.checksumStart = 20
    expected.checksumOffset = 16
    #expect(result == expected)
  }

  @Test func theCongestionWindowBitIsKept() {
    let packet = PacketBuilder.tcp(
      remote, 443, Line.ipv4, 5136, flags: 0x90, data: Array(repeating: 9, count: 4000))
    #expect((try? header(packet.bytesWithPartialChecksum).get())?.segmentationType == 0x81)
  }

  @Test func smallPacketsOnlyGetTheirChecksum() {
    let segment = PacketBuilder.tcp(remote, 443, Line.ipv4, 5136, data: [1, 2, 3])
    var expected = OffloadHeader.none
    expected.flags = 1
    expected.checksumStart = 20
    expected.checksumOffset = 16
    #expect(header(segment.bytesWithPartialChecksum) == .success(expected))
    expected.checksumOffset = 6
    #expect(header(PacketBuilder.udp(data: [4]).bytesWithPartialChecksum) == .success(expected))
  }

  @Test func mergedDatagramsCannotBeCut() {
    let packet = PacketBuilder.udp(data: Array(repeating: 0x55, count: 3000))
    #expect(header(packet.bytesWithPartialChecksum) == .failure(.mergedDatagrams))
    #expect(header(packet.bytes) == .success(.none))
  }

  @Test func nonsenseInTheTCPHeaderIsDropped() {
    var packet = PacketBuilder.tcp(remote, 443, Line.ipv4, 5136, data: Array(repeating: 9, count: 4000))
    for offset: UInt8 in [0x00, 0x40] {
      packet.payload[12] = offset
      #expect(header(packet.bytesWithPartialChecksum) == .failure(.badHeader))
    }
  }

  // The machines that routerd runs on are little endian.
  @Test func isWrittenInHostOrder() {
    var header = OffloadHeader.none
    header.flags = 1
    header.segmentationType = 0x81
    header.headerLength = 52
    header.segmentSize = 1248
    header.checksumStart = 20
    header.checksumOffset = 16
    var bytes = [UInt8](repeating: 0xff, count: 11)
    var span = bytes.mutableSpan
    var mutable = span.mutableBytes
    header.write(to: &mutable)
    func number(_ offset: Int) -> UInt16 { UInt16(bytes[offset]) | UInt16(bytes[offset + 1]) << 8 }
    #expect(bytes[0] == 1 && bytes[1] == 0x81 && bytes[10] == 0xff)
    #expect([2, 4, 6, 8].map(number) == [52, 1248, 20, 16])
  }
}
