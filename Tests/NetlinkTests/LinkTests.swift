// SPDX-License-Identifier: GPL-3.0-or-later
//
// Links against the kernel, in a namespace with
//
//   near ──(veth)── far        tun9 (a TUN device that nobody has open)

import Glibc
import Netlink
import RouterKit
import TestSupport
import Testing

@Suite struct LinkTests {
  private static func makeLinks() throws {
    try ip("link add near type veth peer name far")
    try ip("link set near up mtu 1400 alias uplink")
    try ip("link set far up")
    try ip("tuntap add dev tun9 mode tun")
  }

  private struct Shown: Decodable {
    let ifindex: UInt32
    let ifname: String
    let mtu: UInt32
    let flags: [String]
    let ifalias: String?
    let address: String?
    let linkinfo: Info?
    struct Info: Decodable {
      let info_kind: String?
    }
  }

  @Test func everyLinkIsSeenAsIPShowsIt() throws {
    let (links, shown) = try inNetworkNamespace {
      try Self.makeLinks()
      var netlink = try NetlinkSocket()
      return (try netlink.links(), try ipShow("-d link show", as: [Shown].self))
    }
    #expect(links.map(\.name).sorted() == shown.map(\.ifname).sorted())
    #expect(links.contains { $0.name == "near" })
    for link in links {
      let other = try #require(shown.first { $0.ifindex == link.index })
      #expect(link.name == other.ifname)
      #expect(link.mtu == other.mtu)
      #expect(link.isUp == other.flags.contains("UP"))
      #expect(link.hasCarrier == other.flags.contains("LOWER_UP"))
      #expect(link.alias == other.ifalias)
      #expect(link.kind == other.linkinfo?.info_kind)
      // What a kernel with ip6_tunnel has in each namespace; its link-layer address is written like an IPv6 address.
      guard link.name != "ip6tnl0" else { continue }
      let address = link.hardwareAddress.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
      #expect(address == other.address ?? "")
    }
  }

  @Test func aLinkIsFoundByNameAndByIndex() throws {
    try inNetworkNamespace {
      try Self.makeLinks()
      var netlink = try NetlinkSocket()
      let near = try #require(try netlink.link(named: "near"))
      #expect(near.kind == "veth")
      #expect(near.alias == "uplink")
      #expect(near.mtu == 1400)
      #expect(near.isUp && near.hasCarrier)
      #expect(try netlink.link(index: near.index) == near)
      let tun = try #require(try netlink.link(named: "tun9"))
      #expect(tun.kind == "tun")
      #expect(tun.alias == nil)
      #expect(tun.hardwareAddress == [])
      #expect(!tun.isUp && !tun.hasCarrier)
    }
  }

  @Test(arguments: ["absent", "", "a name with sixteen", "near\0", "far/"])
  func aMissingNameIsNoError(name: String) throws {
    try inNetworkNamespace {
      try Self.makeLinks()
      var netlink = try NetlinkSocket()
      #expect(try netlink.link(named: name) == nil)
      #expect(try netlink.link(index: 0) == nil)
      #expect(try netlink.link(index: 4711) == nil)
      #expect(try netlink.link(index: .max) == nil)
    }
  }

  @Test func anInterfaceCanGoWithoutIPv6Addresses() throws {
    try inNetworkNamespace {
      try Self.makeLinks()
      var netlink = try NetlinkSocket()
      for makesAddresses in [false, true] {
        let near = try #require(try netlink.link(named: "near"))
        try netlink.setLink(near.index, up: false)
        try netlink.setLink(near.index, makesIPv6Addresses: makesAddresses)
        try netlink.setLink(near.index, up: true)
        let linkLocal = try netlink.addresses(IPv6Address.self, interface: near.index).filter { $0.address.isLinkLocal }
        #expect(linkLocal.isEmpty != makesAddresses)
      }
    }
  }

  @Test func whatIsSetIsSeenByOthersAndTheRestStays() throws {
    try inNetworkNamespace {
      try Self.makeLinks()
      var netlink = try NetlinkSocket()
      let tun = try #require(try netlink.link(named: "tun9"))
      try netlink.setLink(tun.index, up: true, mtu: 1460, alias: "routerd")
      var shown = try #require(try ipShow("-d link show dev tun9", as: [Shown].self).first)
      #expect(shown.mtu == 1460)
      #expect(shown.ifalias == "routerd")
      #expect(shown.flags.contains("UP"))
      #expect(!shown.flags.contains("LOWER_UP"))

      try netlink.setLink(tun.index, alias: "")
      shown = try #require(try ipShow("-d link show dev tun9", as: [Shown].self).first)
      #expect(shown.ifalias == nil)
      #expect(shown.mtu == 1460)
      #expect(shown.flags.contains("UP"))

      try netlink.setLink(tun.index, up: false)
      #expect(try netlink.link(index: tun.index)?.isUp == false)

      try netlink.deleteLink(tun.index)
      #expect(try netlink.link(named: "tun9") == nil)
      #expect(throws: NetlinkError.self) { try netlink.deleteLink(tun.index) }
    }
  }

  @Test func ipv4SettingsOfOneInterfaceAreSetWithoutProc() throws {
    try inNetworkNamespace {
      try Self.makeLinks()
      var netlink = try NetlinkSocket()
      let near = try #require(try netlink.link(named: "near"))
      for (filter, forwarding) in [(2, 1), (1, 0), (0, 1)] as [(Int32, Int32)] {
        try netlink.setIPv4Settings(near.index, [.reversePathFilter: filter, .forwarding: forwarding])
        #expect(try readNumber("/proc/sys/net/ipv4/conf/near/rp_filter") == filter)
        #expect(try readNumber("/proc/sys/net/ipv4/conf/near/forwarding") == forwarding)
        let settings = try #require(try netlink.link(index: near.index)).ipv4Settings
        #expect(settings[.reversePathFilter] == filter)
        #expect(settings[.forwarding] == forwarding)
      }
      for other in ["all", "far", "lo"] {
        #expect(try readNumber("/proc/sys/net/ipv4/conf/\(other)/forwarding") == 0)
      }
    }
  }

  @Test(
    arguments: zip(
      IPv4Setting.allCases,
      [
        "forwarding", "accept_redirects", "send_redirects", "rp_filter", "accept_source_route", "log_martians",
      ]))
  func aSettingHasTheKernelsNumber(setting: IPv4Setting, file: String) throws {
    try inNetworkNamespace {
      try Self.makeLinks()
      var netlink = try NetlinkSocket()
      let near = try #require(try netlink.link(named: "near"))
      let before = try readNumber("/proc/sys/net/ipv4/conf/near/\(file)")
      #expect(near.ipv4Settings[setting] == before)
      try netlink.setIPv4Settings(near.index, [setting: 1 - before])
      #expect(try readNumber("/proc/sys/net/ipv4/conf/near/\(file)") == 1 - before)
    }
  }

  @Test func theKernelsReasonIsInTheError() throws {
    let (missing, tooSmall) = try inNetworkNamespace {
      try Self.makeLinks()
      var netlink = try NetlinkSocket()
      let near = try #require(try netlink.link(named: "near"))
      return (
        try caught { () throws(NetlinkError) in try netlink.setLink(4711, up: true) },
        try caught { () throws(NetlinkError) in try netlink.setLink(near.index, mtu: 1) }
      )
    }
    #expect(missing.code == ENODEV)
    #expect(missing.isAlreadyGone)
    #expect(missing.description.hasPrefix("cannot set interface 4711 to up: No such device"))
    #expect(tooSmall.code == EINVAL)
    #expect(tooSmall.kernelMessage == "mtu less than device minimum")
    #expect(
      tooSmall.description
        == "cannot set interface \(tooSmall.interfaceNumber) to MTU 1: Invalid argument (the kernel says: mtu less than device minimum)"
    )
  }

  @Test func anAliasWithoutEndIsRefusedBeforeItIsSent() throws {
    let error = try inNetworkNamespace {
      var netlink = try NetlinkSocket()
      return try caught { () throws(NetlinkError) in
        try netlink.setLink(1, alias: String(repeating: "x", count: 100_000))
      }
    }
    #expect(error.code == EMSGSIZE)
    #expect(error.description.utf8.count < 200)
  }
}

extension NetlinkError {
  fileprivate var interfaceNumber: Substring {
    operation.split(separator: " ")[2]
  }
}
