// SPDX-License-Identifier: GPL-3.0-or-later
//
// The kernel's tunnels as bytes, which need no kernel that has them; and the question whether it does, put to this one.

import Glibc
import RouterKit
import TestSupport
import Testing

@testable import Netlink

@Suite struct TunnelTests {
  private static let mapE: IPv6Tunnel? = try? IPv6Tunnel(
    localAddress: IPv6Address("2404:7a82:4d02:4100:85:d10d:200:4100"),
    remoteAddress: IPv6Address("2001:260:700:1::1:275"))

  private static let information = """
      7400 1280                                           # IFLA_LINKINFO
        0b00 0100 69703674 6e6c00 00                      #   IFLA_INFO_KIND "ip6tnl", padded
        6400 0280                                         #   IFLA_INFO_DATA
          1400 0200 24047a82 4d024100 0085d10d 02004100   #     IFLA_IPTUN_LOCAL
          1400 0300 20010260 07000001 00000000 00010275   #     IFLA_IPTUN_REMOTE
          0500 0900 04 000000                             #     IFLA_IPTUN_PROTO: IPv4
          0500 0400 40 000000                             #     IFLA_IPTUN_TTL 64
          0500 0600 00 000000                             #     IFLA_IPTUN_ENCAP_LIMIT, without meaning
          0800 0800 01000000                              #     IFLA_IPTUN_FLAGS: IGN_ENCAP_LIMIT
          0800 0700 00000000                              #     IFLA_IPTUN_FLOWINFO
          0800 0100 00000000                              #     IFLA_IPTUN_LINK: whichever
          0800 1400 00000000                              #     IFLA_IPTUN_FWMARK
    """

  @Test func theRequestForATunnel() throws {
    let transport = FakeTransport(datagrams: [Fixture.acknowledgement()])
    var netlink = NetlinkSocket(transport: transport)
    try netlink.addTunnel(named: "softwire0", try #require(Self.mapE), mtu: 1460)
    #expect(
      transport.sent == [
        hex(
          """
          ac000000 1000 0506 01000000 04030201            # RTM_NEWLINK, REQUEST|ACK|CREATE|EXCL
          00000000 00000000 00000000 00000000             # ifinfomsg
          0e00 0300 736f6674 77697265 3000 0000           # IFLA_IFNAME "softwire0", padded
          0800 0400 b4050000                              # IFLA_MTU 1460
          \(Self.information)
          """)
      ])
  }

  @Test func theRequestForAChangeNamesTheMTUToo() throws {
    let transport = FakeTransport(datagrams: [Fixture.acknowledgement()])
    var netlink = NetlinkSocket(transport: transport)
    try netlink.changeTunnel(7, to: try #require(Self.mapE), mtu: 1460)
    #expect(
      transport.sent == [
        hex(
          """
          9c000000 1000 0500 01000000 04030201            # RTM_NEWLINK, REQUEST|ACK: it must be there
          00000000 07000000 00000000 00000000             # ifinfomsg: index 7
          0800 0400 b4050000                              # IFLA_MTU 1460
          \(Self.information)
          """)
      ])
  }

  @Test func whatIsWrittenIsReadBack() throws {
    let plain = try #require(Self.mapE)
    var other = plain
    other.encapsulationLimit = 0
    other.content = .any
    other.hopLimit = 0
    other.flowInformation = 0x0b8_12345
    other.options = [.copiesTrafficClass, .allowsLocalRemote]
    other.outerInterfaceIndex = 3
    other.firewallMark = 0x8000_0001
    for tunnel in [plain, other] {
      let transport = FakeTransport(datagrams: [Fixture.acknowledgement()])
      var netlink = NetlinkSocket(transport: transport)
      try netlink.addTunnel(named: "softwire0", tunnel, mtu: 1460)
      var bytes = try #require(transport.sent.first)
      // A message of the kernel's differs by the number that the device then has.
      bytes[20] = 9
      let link = try #require(Message.messages(in: bytes)?.first.flatMap { Link($0) })
      #expect(link.kind == "ip6tnl")
      #expect(link.tunnel == tunnel)
    }
  }

  /// As Linux 6.1 shows a device that iproute2 made with `encaplimit none`.
  @Test func whatTheKernelFoundOutItselfIsNoOption() throws {
    let link = try #require(Message.messages(in: Self.shown)?.first.flatMap { Link($0) })
    #expect(link.name == "softwire0" && link.isUp && link.hasCarrier && link.mtu == 1460)
    #expect(link.tunnel == Self.mapE)
    #expect(link.isRouterds)
  }

  private static let shown = message(
    type: 16, flags: 2,
    hex(
      """
      00 00 0103 09000000 d1000100 00000000   # ifinfomsg: ARPHRD_TUNNEL6, index 9, UP|POINTOPOINT|RUNNING|NOARP|LOWER_UP
      0e00 0300 736f6674 77697265 3000 0000   # IFLA_IFNAME "softwire0", padded
      0800 0400 b4050000                      # IFLA_MTU 1460
      0c00 1400 726f7574 65726400             # IFLA_IFALIAS "routerd"
      9400 1200                               # IFLA_LINKINFO
        0b00 0100 69703674 6e6c00 00          #   IFLA_INFO_KIND "ip6tnl", padded
        8400 0200                             #   IFLA_INFO_DATA
          0800 0100 00000000                  #     IFLA_IPTUN_LINK
          1400 0200 24047a82 4d024100 0085d10d 02004100   # IFLA_IPTUN_LOCAL
          1400 0300 20010260 07000001 00000000 00010275   # IFLA_IPTUN_REMOTE
          0500 0400 40 000000                 #     IFLA_IPTUN_TTL 64
          0500 0600 04 000000                 #     IFLA_IPTUN_ENCAP_LIMIT, without meaning
          0800 0700 00000000                  #     IFLA_IPTUN_FLOWINFO
          0800 0800 01000300                  #     IFLA_IPTUN_FLAGS: IGN_ENCAP_LIMIT, can send, can receive
          0500 0900 04 000000                 #     IFLA_IPTUN_PROTO: IPv4
          0800 1400 00000000                  #     IFLA_IPTUN_FWMARK
          0600 0f00 0000 0000                 #     IFLA_IPTUN_ENCAP_TYPE: none
          0600 1100 0000 0000                 #     IFLA_IPTUN_ENCAP_SPORT
          0600 1200 0000 0000                 #     IFLA_IPTUN_ENCAP_DPORT
          0600 1000 0200 0000                 #     IFLA_IPTUN_ENCAP_FLAGS, without meaning
      """))

  private static func bytes(_ number: Int32) -> [UInt8] {
    withUnsafeBytes(of: number.littleEndian) { Array($0) }
  }

  @Test func theEndsAreThereOrThereIsNoTunnel() throws {
    // Cut anywhere, and every byte wrong once: a tunnel or none, and never a trap.
    for length in 0..<Self.shown.count {
      var cut = Array(Self.shown.prefix(length))
      if length >= 4 { cut.replaceSubrange(0..<4, with: Self.bytes(Int32(length))) }
      let link = Message.messages(in: cut)?.first.flatMap { Link($0) }
      if let tunnel = link?.tunnel { #expect(tunnel.localAddress == Self.mapE?.localAddress) }
    }
    for position in 16..<Self.shown.count {
      var bytes = Self.shown
      bytes[position] ^= 0xff
      _ = Message.messages(in: bytes)?.first.flatMap { Link($0) }
    }
    // Another kind may number its attributes in another way.
    var vti = Self.shown
    let kind = try #require(vti.indices.first { vti[$0...].starts(with: Array("ip6tnl".utf8)) })
    vti.replaceSubrange(kind..<(kind + 6), with: Array("vti6\0\0".utf8))
    let link = try #require(Message.messages(in: vti)?.first.flatMap { Link($0) })
    #expect(link.kind == "vti6" && link.tunnel == nil)
  }

  @Test(arguments: [(EOPNOTSUPP, false), (EINVAL, true)])
  func theAnswerIsARefusalEitherWay(code: Int32, expected: Bool) throws {
    let refusal = message(type: 2, flags: 0x100, Self.bytes(-code) + message(type: 16))
    let transport = FakeTransport(datagrams: [refusal])
    var netlink = NetlinkSocket(transport: transport)
    #expect(try netlink.hasIPv6Tunnels() == expected)
    #expect(
      transport.sent == [
        hex(
          """
          3c000000 1000 0506 01000000 04030201    # RTM_NEWLINK, REQUEST|ACK|CREATE|EXCL
          00000000 00000000 00000000 00000000     # ifinfomsg
          1c00 1280                               # IFLA_LINKINFO
            0b00 0100 69703674 6e6c00 00          #   IFLA_INFO_KIND "ip6tnl", padded
            0c00 0280                             #   IFLA_INFO_DATA
              0500 0900 ff 000000                 #     IFLA_IPTUN_PROTO: no such
          """)
      ])
  }

  @Test func anotherErrorIsOne() throws {
    let refusal = message(type: 2, flags: 0x100, hex("ffffffff") + message(type: 16))
    let error = try caught { () throws(NetlinkError) in
      var netlink = NetlinkSocket(transport: FakeTransport(datagrams: [refusal]))
      _ = try netlink.hasIPv6Tunnels()
    }
    #expect(error.code == EPERM)
  }

  @Test func askingMakesNoDevice() throws {
    try inNetworkNamespace {
      var netlink = try NetlinkSocket()
      let before = try netlink.links()
      _ = try netlink.hasIPv6Tunnels()
      // Where asking had the module loaded, the kernel has put its own device ip6tnl0 here.
      #expect(try netlink.links().filter { $0.name != "ip6tnl0" } == before.filter { $0.name != "ip6tnl0" })
    }
  }
}
