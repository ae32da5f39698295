// SPDX-License-Identifier: GPL-3.0-or-later
//
// The conversation with the kernel: what is sent byte by byte, and what is made of answers that are late, cut, interrupted
// or refusals.

import Glibc
import RouterKit
import Synchronization
import Testing

@testable import Netlink

@Suite struct RequestTests {
  private static func links(_ transport: FakeTransport) throws(NetlinkError) -> [Link] {
    var netlink = NetlinkSocket(transport: transport)
    return try netlink.links()
  }

  private static func error(_ transport: FakeTransport) throws -> NetlinkError {
    try caught { () throws(NetlinkError) in
      var netlink = NetlinkSocket(transport: transport)
      try netlink.deleteLink(7)
    }
  }

  @Test func theRequestForLinks() throws {
    let transport = FakeTransport(datagrams: [Fixture.link, Fixture.done()])
    #expect(try Self.links(transport).map(\.name) == ["wan0"])
    #expect(
      transport.sent == [
        hex(
          """
          28000000 1200 0503 01000000 04030201    # RTM_GETLINK, REQUEST|ACK|DUMP, number 1, our port
          00000000 00000000 00000000 00000000     # ifinfomsg
          0800 1d00 08000000                      # IFLA_EXT_MASK SKIP_STATS
          """)
      ])
  }

  @Test func theRequestForACEAddress() throws {
    let transport = FakeTransport(datagrams: [Fixture.acknowledgement()])
    var netlink = NetlinkSocket(transport: transport)
    try netlink.addAddress(
      InterfaceAddress(
        interfaceIndex: 7, address: try IPv6Address("2404:7a82:4d02:4100:85:d10d:200:4100"),
        flags: [.noPrefixRoute, .tentative, .permanent], preferredLifetime: .seconds(0)),
      ifExists: .replace)
    #expect(
      transport.sent == [
        hex(
          """
          64000000 1400 0505 01000000 04030201            # RTM_NEWADDR, REQUEST|ACK|CREATE|REPLACE
          0a 80 00 00 07000000                            # ifaddrmsg: AF_INET6, /128, universe, interface 7
          1400 0200 24047a82 4d024100 0085d10d 02004100   # IFA_LOCAL
          1400 0100 24047a82 4d024100 0085d10d 02004100   # IFA_ADDRESS
          0800 0800 00020000                              # IFA_FLAGS: NOPREFIXROUTE, nothing else
          1400 0600 00000000 ffffffff 00000000 00000000   # IFA_CACHEINFO: preferred 0, valid for ever
          0500 0b00 85 000000                             # IFA_PROTO 133
          """)
      ])
  }

  @Test func theRequestForIPv4Settings() throws {
    let transport = FakeTransport(datagrams: [Fixture.acknowledgement()])
    var netlink = NetlinkSocket(transport: transport)
    try netlink.setIPv4Settings(7, [.reversePathFilter: 2, .forwarding: 1])
    #expect(
      transport.sent == [
        hex(
          """
          3c000000 1300 0500 01000000 04030201    # RTM_SETLINK, REQUEST|ACK
          00000000 07000000 00000000 00000000     # ifinfomsg: index 7
          1c00 1a80                               # IFLA_AF_SPEC | NLA_F_NESTED
            1800 0280                             #   AF_INET
              1400 0180                           #     IFLA_INET_CONF
                0800 0100 01000000                #       forwarding 1
                0800 0800 02000000                #       rp_filter 2
          """)
      ])
  }

  @Test func anInterruptedListIsAskedForAgain() throws {
    var interrupted = Fixture.link
    interrupted[6] |= 0x10
    var second = Fixture.link
    second[8] = 2
    let transport = FakeTransport(
      datagrams: [interrupted + Fixture.link, Fixture.done(), second + Fixture.done(sequence: 2)])
    #expect(try Self.links(transport).count == 1)
    #expect(transport.sent.count == 2)
    #expect(transport.sent.map { $0[8] } == [1, 2])
  }

  @Test func anInterruptionCanAlsoStandAtTheEndOrBeAnError() throws {
    let transport = FakeTransport(
      datagrams: [
        Fixture.link + Fixture.done(flags: 0x12), message(type: 2, sequence: 2, hex("fcffffff")),
        Fixture.done(sequence: 3),
      ])
    #expect(try Self.links(transport).isEmpty)
    #expect(transport.sent.count == 3)
  }

  @Test func aListThatNeverHoldsStillIsAnError() throws {
    let transport = FakeTransport(datagrams: (1...100).map { Fixture.done(sequence: $0, flags: 0x12) })
    let error = try caught { () throws(NetlinkError) in _ = try Self.links(transport) }
    #expect(error == NetlinkError(operation: "list the interfaces", code: EINTR))
    #expect(transport.sent.count == 8)
  }

  @Test func answersToOthersAreDropped() throws {
    var late = Fixture.link
    late[8] = 99
    let foreign = message(type: 2, port: 1, hex("ffffffff"))
    let transport = FakeTransport(
      datagrams: [late + late + Fixture.done(sequence: 99), foreign, message(type: 1), Fixture.link + Fixture.done()])
    #expect(try Self.links(transport).count == 1)
  }

  @Test func theKernelsSentenceIsFoundBehindACappedAndAWholeRequest() throws {
    let sentence = hex("1200 0100 746f6f206d616e79 20646f677300 0000")  // NLMSGERR_ATTR_MSG "too many dogs"
    let header = message(type: 17, [1, 2, 3, 4, 5])
    let capped = message(type: 2, flags: 0x300, hex("f0ffffff") + header.prefix(16) + sentence)
    let whole = message(type: 2, flags: 0x200, hex("f0ffffff") + header + [0, 0, 0] + sentence)
    let list = message(type: 3, flags: 0x202, hex("f0ffffff") + sentence)
    for datagram in [capped, whole, list] {
      let error = try Self.error(FakeTransport(datagrams: [datagram]))
      #expect(error == NetlinkError(operation: "remove interface 7", code: EBUSY, kernelMessage: "too many dogs"))
      #expect(
        error.description == "cannot remove interface 7: Device or resource busy (the kernel says: too many dogs)")
    }
  }

  @Test(
    arguments: [
      ("an error without sentence", message(type: 2, hex("f0ffffff")), EBUSY),
      ("a sentence that is announced and not there", message(type: 2, flags: 0x200, hex("f0ffffff")), EBUSY),
      ("a request length that lies", message(type: 2, flags: 0x200, hex("f0ffffff ffffffff") + zeros), EBUSY),
      ("the smallest number there is", message(type: 2, hex("00000080")), Int32.min),
      ("an acknowledgement without number", message(type: 2), EBADMSG),
      ("a cut datagram", Array(Fixture.link.dropLast()), EBADMSG),
      ("an empty datagram", [], EBADMSG),
    ] as [(String, [UInt8], Int32)])
  func aStrangeAnswerIsAnError(what: String, datagram: [UInt8], code: Int32) throws {
    let error = try Self.error(FakeTransport(datagrams: [datagram]))
    #expect(error.code == code)
    #expect(error.kernelMessage == nil)
    #expect(error.description.hasPrefix("cannot remove interface 7: "))
  }

  private static let zeros = [UInt8](repeating: 0, count: 12)

  /// How an owner that several tasks use keeps one.
  private final class Owner: Sendable {
    let netlink: Mutex<NetlinkSocket>

    init(_ transport: FakeTransport) {
      netlink = Mutex(NetlinkSocket(transport: transport))
    }
  }

  @Test func aMutexCanOwnTheSocket() async throws {
    let owner = Owner(
      FakeTransport(datagrams: [Fixture.link + Fixture.done(), Fixture.done(sequence: 2)]))
    let counts = try await withThrowingTaskGroup { group in
      for _ in 0..<2 {
        group.addTask {
          try owner.netlink.withLock { netlink throws(NetlinkError) in try netlink.links().count }
        }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(counts.sorted() == [0, 1])
  }

  @Test func aKernelThatDoesNotAnswerIsATimeoutAndALostAnswerIsTold() throws {
    #expect(try Self.error(FakeTransport()).code == ETIMEDOUT)
    #expect(try Self.error(FakeTransport(.failure(SystemCallError(code: ENOBUFS)))).code == ENOBUFS)
  }
}
