// SPDX-License-Identifier: GPL-3.0-or-later
//
// ICMPv6 errors about the tunnel, and the ICMP errors made of them.

import RouterKit
import Testing

@testable import TUN

@Suite struct ICMPErrorTests {
  @Test func quotesWithinTheLimitAndIsWellFormed() throws {
    var builder = PacketBuilder.udp(data: Array(repeating: 0xa5, count: 1401))
    builder.options = [1, 1, 1, 1]
    let packet = ICMPError.fragmentationNeeded(mtu: 1360).packet(about: builder.bytes.span.bytes)
    let answer = try #require(packet)
    #expect(answer.count == 576)
    let header = try IPv4Header(answer.span.bytes)
    #expect(header.source == IPv4Address(192, 0, 0, 8) && header.destination == Line.ipv4)
    #expect(header.protocolNumber == 1 && header.totalLength == 576 && header.timeToLive == 64)
    #expect(internetChecksum(Array(answer.prefix(20))) == 0)
    #expect(internetChecksum(Array(answer.dropFirst(20))) == 0)
    #expect(Array(answer[20..<22]) == [3, 4] && word(answer, 24) == 0 && word(answer, 26) == 1360)
    #expect(Array(answer.dropFirst(28)) == Array(builder.bytes.prefix(548)))
  }

  @Test func doesNotAnswerWhatMustNotBeAnswered() {
    func answer(_ builder: PacketBuilder) -> [UInt8]? {
      ICMPError.hostUnreachable.packet(about: builder.bytes.span.bytes)
    }
    #expect(answer(.udp()) != nil)
    #expect(answer(.icmp(Line.ipv4, IPv4Address(198, 51, 100, 1), type: 8)) != nil)
    for type: UInt8 in [3, 4, 5, 11, 12, 9, 200] {
      #expect(answer(.icmp(Line.ipv4, IPv4Address(198, 51, 100, 1), type: type)) == nil)
    }
    var fragment = PacketBuilder.udp()
    fragment.fragmentOffset = 8
    #expect(answer(fragment) == nil)
    for source in [
      IPv4Address(224, 0, 0, 1), IPv4Address(255, 255, 255, 255), IPv4Address(0, 0, 0, 0), IPv4Address(127, 0, 0, 1),
    ] {
      #expect(answer(.udp(source)) == nil)
    }
    #expect(answer(.udp(Line.ipv4, 5136, IPv4Address(239, 1, 1, 1))) == nil)
    #expect(answer(PacketBuilder(payload: Array(repeating: 0, count: 7))) == nil)
    #expect(ICMPError.hostUnreachable.packet(about: [UInt8]().span.bytes) == nil)
  }
}

@Suite struct TunnelErrorTranslatorTests {
  private let tunnel: TunnelSpec
  private let translator: TunnelErrorTranslator
  private let mesh: TunnelErrorTranslator
  private let inner: [UInt8]

  init() throws {
    tunnel = try Line.tunnel()
    translator = TunnelErrorTranslator(configuration: PacketConfiguration(tunnel))
    mesh = TunnelErrorTranslator(configuration: PacketConfiguration(try Line.tunnel(mesh: true)))
    var builder = PacketBuilder.udp(data: Array(repeating: 1, count: 1000))
    builder.forbidsFragmenting = true
    inner = builder.bytes
  }

  private func message(
    _ type: UInt8, _ code: UInt8 = 0, value: UInt32 = 0, from: IPv6Address? = nil, to: IPv6Address? = nil,
    nextHeader: UInt8 = 4, fragmentHeader: [UInt8] = [], inner: [UInt8]? = nil
  ) -> [UInt8] {
    tunnelError(
      type: type, code: code, value: value, from: from ?? tunnel.localAddress, to: to ?? tunnel.relay,
      nextHeader: nextHeader, fragmentHeader: fragmentHeader, inner: inner ?? self.inner)
  }

  private func answer(_ message: [UInt8]) -> [UInt8]? {
    translator.translate(message.span.bytes).answer
  }

  @Test func translatesEachKind() {
    let expected: [(type: UInt8, code: UInt8, answer: [UInt8])] = [
      (1, 0, [3, 1]), (1, 1, [3, 13]), (1, 3, [3, 1]), (1, 4, [3, 1]), (1, 5, [3, 1]),
      (3, 0, [3, 1]), (3, 1, [3, 1]), (4, 0, [3, 1]), (4, 1, [3, 1]),
    ]
    for (type, code, header) in expected {
      let answer = answer(message(type, code))
      #expect(answer.map { Array($0[20..<22]) } == header, "type \(type) code \(code)")
      #expect(answer.map { word($0, 26) } == 0)
      #expect(translator.translate(message(type, code).span.bytes).learned == nil)
    }
  }

  @Test func tooBigTeachesAndTells() {
    let result = translator.translate(message(2, value: 1400).span.bytes)
    #expect(result.learned == .init(mtu: 1400, destination: tunnel.relay))
    #expect(result.answer.map { [word($0, 20), word($0, 26)] } == [0x0304, 1360])
    #expect(result.reason == nil)
    // Nobody may bring us below the minimum of IPv6.
    let small = translator.translate(message(2, value: 68).span.bytes)
    #expect(small.learned?.mtu == 1280 && small.answer.map { word($0, 26) } == 1240)
    // The other relay is a far end too.
    #expect(translator.translate(message(2, value: 1400, to: tunnel.allowedRelays[1]).span.bytes).learned != nil)
  }

  @Test func whoAllowsFragmentsIsNotTold() {
    let packet = PacketBuilder.udp(data: Array(repeating: 1, count: 1000)).bytes
    let result = translator.translate(message(2, value: 1400, inner: packet).span.bytes)
    #expect(result == .init(learned: .init(mtu: 1400, destination: tunnel.relay)))
  }

  @Test func readsTheQuoteOfAFragment() {
    #expect(answer(message(3, fragmentHeader: [4, 0, 0, 1, 0, 0, 0, 9])) != nil)
    #expect(answer(message(3, fragmentHeader: [4, 0, 0, 9, 0, 0, 0, 9])) == nil)
    #expect(answer(message(3, fragmentHeader: [17, 0, 0, 1, 0, 0, 0, 9])) == nil)
  }

  @Test func believesOnlyQuotesOfItsOwnPackets() throws {
    let stranger = try IPv6Address("2001:db8::1")
    for message in [
      message(2, value: 1300, from: stranger), message(2, value: 1300, to: stranger),
      message(2, value: 1300, nextHeader: 17), message(128), Array(message(2, value: 1300).prefix(47)), [],
    ] {
      #expect(translator.translate(message.span.bytes) == .init(reason: .errorNotOurs))
    }
    let foreign = PacketBuilder.udp(IPv4Address(192, 168, 1, 1)).bytes
    #expect(translator.translate(message(3, inner: foreign).span.bytes) == .init(reason: .errorNotTranslatable))
    #expect(
      translator.translate(message(3, inner: Array(inner.prefix(27))).span.bytes)
        == .init(reason: .errorNotTranslatable))
    // Too little to tell the sender, enough to learn.
    let short = translator.translate(message(2, value: 1300, inner: []).span.bytes)
    #expect(short == .init(learned: .init(mtu: 1300, destination: tunnel.relay), reason: .errorNotTranslatable))
  }

  @Test func subscribersAreFarEndsOfWhatIsSentToThem() throws {
    let direct = PacketBuilder.udp(Line.ipv4, 5136, IPv4Address(133, 209, 13, 3), 62495).bytes
    let subscriber = try Line.subscriber()
    #expect(mesh.translate(message(3, to: subscriber, inner: direct).span.bytes).answer != nil)
    #expect(mesh.translate(message(3, to: subscriber).span.bytes) == .init(reason: .errorNotOurs))
    #expect(translator.translate(message(3, to: subscriber, inner: direct).span.bytes) == .init(reason: .errorNotOurs))
  }
}
