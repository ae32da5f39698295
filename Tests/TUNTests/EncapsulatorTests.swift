// SPDX-License-Identifier: GPL-3.0-or-later

import RouterKit
import Testing

@testable import TUN

@Suite struct EncapsulatorTests {
  private let now = ContinuousClock.now
  private let relay: IPv6Address
  private var hub: Encapsulator
  private var mesh: Encapsulator

  init() throws {
    let tunnel = try Line.tunnel()
    relay = tunnel.relay
    hub = Encapsulator(PacketConfiguration(tunnel))
    mesh = Encapsulator(PacketConfiguration(try Line.tunnel(mesh: true)))
  }

  private func handle(_ encapsulator: inout Encapsulator, _ bytes: [UInt8], pathMTU: Int = 1500)
    -> Encapsulator.Verdict
  {
    encapsulator.handle(bytes.span.bytes, now: now) { _ in pathMTU }
  }

  @Test mutating func sendsToTheRelay() {
    var builder = PacketBuilder.udp(data: [1, 2, 3])
    builder.typeOfService = 0xba
    #expect(handle(&hub, builder.bytes) == .send(to: relay, trafficClass: 0xba, length: 31))
    // What the device put behind the packet does not travel.
    #expect(handle(&hub, builder.bytes + [0, 0, 0]) == .send(to: relay, trafficClass: 0xba, length: 31))
  }

  @Test mutating func dropsWhatIsNotOurs() {
    #expect(handle(&hub, [0x60] + Array(repeating: 0, count: 47)) == .drop(.notIPv4))
    #expect(handle(&hub, []) == .drop(.truncated))
    var builder = PacketBuilder.udp()
    builder.timeToLive = 0
    #expect(handle(&hub, builder.bytes) == .drop(.timeToLiveExpired))
    builder = .udp(IPv4Address(192, 168, 1, 2))
    #expect(handle(&hub, builder.bytes) == .drop(.wrongInnerSource))
  }

  @Test mutating func anyInnerSourceIsRightWithoutARule() throws {
    let dsLite = DSLiteSoftwire(userPrefix: try IPv6Prefix(Line.prefix), aftr: relay)
    var encapsulator = Encapsulator(
      PacketConfiguration(TunnelSpec(deviceName: "softwire0", softwire: .dsLite(dsLite), mtu: 1460)))
    let packet = PacketBuilder.udp(IPv4Address(192, 168, 1, 2)).bytes
    #expect(handle(&encapsulator, packet) == .send(to: relay, trafficClass: 0, length: 28))
  }

  @Test mutating func tellsSendersWhoForbidFragmenting() {
    func packet(_ length: Int, _ forbidsFragmenting: Bool) -> [UInt8] {
      var builder = PacketBuilder.udp(data: Array(repeating: 0, count: length - 28))
      builder.forbidsFragmenting = forbidsFragmenting
      return builder.bytes
    }
    #expect(handle(&hub, packet(1460, true)) == .send(to: relay, trafficClass: 0, length: 1460))
    #expect(handle(&hub, packet(1461, true)) == .tooBig(mtu: 1460))
    #expect(handle(&hub, packet(1461, false)) == .send(to: relay, trafficClass: 0, length: 1461))
    #expect(handle(&hub, packet(1400, true), pathMTU: 1400) == .tooBig(mtu: 1360))
    #expect(handle(&hub, packet(1240, true), pathMTU: 1280) == .send(to: relay, trafficClass: 0, length: 1240))
    #expect(handle(&hub, packet(1241, true), pathMTU: 1280) == .tooBig(mtu: 1240))
  }

  @Test mutating func reachesOtherSubscribersDirectly() throws {
    let subscriber = try Line.subscriber()
    let address = IPv4Address(133, 209, 13, 3)
    let direct = PacketBuilder.udp(Line.ipv4, 5136, address, 62495).bytes
    #expect(handle(&mesh, direct) == .send(to: subscriber, trafficClass: 0, length: 28))
    #expect(handle(&hub, direct) == .send(to: relay, trafficClass: 0, length: 28))
    // A port that belongs to nobody, no port at all, an address without rule.
    for packet in [
      PacketBuilder.udp(Line.ipv4, 5136, address, 80), PacketBuilder(destination: address, protocolNumber: 47),
      PacketBuilder.udp(),
    ] {
      #expect(handle(&mesh, packet.bytes) == .send(to: relay, trafficClass: 0, length: packet.bytes.count))
    }
    // A reply to a ping carries the identifier of whoever pinged.
    let reply = PacketBuilder.icmp(Line.ipv4, address, type: 0, rest: [5136, 1]).bytes
    #expect(handle(&mesh, reply) == .send(to: subscriber, trafficClass: 0, length: 28))
    // An error goes to the sender of what it quotes.
    let quote = PacketBuilder.udp(address, 5136, Line.ipv4, 5137).bytes
    let error = PacketBuilder.icmp(Line.ipv4, address, type: 3, code: 3, data: quote).bytes
    #expect(handle(&mesh, error) == .send(to: subscriber, trafficClass: 0, length: 56))
  }

  @Test mutating func neighboursOnTheSameAddressAreReached() throws {
    let packet = PacketBuilder.udp(Line.ipv4, 5136, Line.ipv4, 5152).bytes
    #expect(handle(&mesh, packet) == .send(to: try Line.neighbour(), trafficClass: 0, length: 28))
  }

  @Test mutating func neverSendsToItself() {
    let packet = PacketBuilder.udp(Line.ipv4, 5136, Line.ipv4, 5137).bytes
    #expect(handle(&mesh, packet) == .drop(.loop))
  }

  @Test mutating func fragmentsFollowTheFirst() throws {
    var first = PacketBuilder.udp(Line.ipv4, 5136, IPv4Address(133, 209, 13, 3), 62495, data: [0, 0, 0, 0, 0, 0, 0, 0])
    first.hasMoreFragments = true
    var second = PacketBuilder(destination: first.destination, fragmentOffset: 16, payload: [1])
    #expect(handle(&mesh, second.bytes) == .send(to: relay, trafficClass: 0, length: 21))
    #expect(handle(&mesh, first.bytes) == .send(to: try Line.subscriber(), trafficClass: 0, length: 36))
    #expect(handle(&mesh, second.bytes) == .send(to: try Line.subscriber(), trafficClass: 0, length: 21))
    second.identification = 1
    #expect(handle(&mesh, second.bytes) == .send(to: relay, trafficClass: 0, length: 21))
  }
}
