// SPDX-License-Identifier: GPL-3.0-or-later
//
// Addresses against the kernel, in a namespace with
//
//   near ──(veth)── far
//
// Both ends are in one namespace: a duplicate is an address that "far" has already when "near" gets it.

import Glibc
import Netlink
import RouterKit
import TestSupport
import Testing

@Suite struct AddressTests {
  private struct Shown: Decodable {
    let ifindex: UInt32?
    let addr_info: [Entry]?
    struct Entry: Decodable {
      let family: String
      let local: String
      let prefixlen: Int
      let scope: String
      let valid_life_time: UInt32
      let preferred_life_time: UInt32
      let dadfailed: Bool?
      let tentative: Bool?
      let deprecated: Bool?
      let noprefixroute: Bool?
    }
  }

  private struct Chosen: Decodable {
    let prefsrc: String
  }

  private static func shown(_ words: String) throws -> [Shown.Entry] {
    try ipShow("-d address show \(words)", as: [Shown].self).flatMap { $0.addr_info ?? [] }
  }

  private static func makeLinks() throws {
    try ip("link add near type veth peer name far")
    try ip("link set near up")
    try ip("link set far up")
  }

  private static func near(_ netlink: inout NetlinkSocket) throws -> UInt32 {
    try #require(try netlink.link(named: "near")).index
  }

  private static func find(
    _ address: IPv6Address, _ interface: UInt32, _ netlink: inout NetlinkSocket
  ) throws -> InterfaceAddress<IPv6Address> {
    try #require(try netlink.addresses(IPv6Address.self, interface: interface).first { $0.address == address })
  }

  @Test func addressesOfOthersAreRead() throws {
    try inNetworkNamespace {
      try Self.makeLinks()
      try ip("address add 192.0.2.7/24 dev near")
      try ip("address add 198.51.100.1 peer 198.51.100.2 dev near")
      try ip("address add 203.0.113.5/32 dev far valid_lft 600 preferred_lft 300")
      try ip("address add 2001:db8:1::7/64 dev near nodad mngtmpaddr noprefixroute valid_lft 900 preferred_lft 0")
      var netlink = try NetlinkSocket()
      let near = try Self.near(&netlink)
      let four = try netlink.addresses(IPv4Address.self)
      #expect(four.map(\.address.description).sorted() == ["192.0.2.7", "198.51.100.1", "203.0.113.5"])
      let first = try #require(four.first { $0.prefixLength == 24 })
      #expect(first.interfaceIndex == near)
      #expect(first.flags.contains(.permanent))
      #expect(first.preferredLifetime == .forever && first.validLifetime == .forever)
      #expect(first.protocol == .unspecified)
      #expect(first.scope == .universe)
      let timed = try #require(four.first { $0.address == IPv4Address(203, 0, 113, 5) })
      #expect(!timed.flags.contains(.permanent))
      guard case (.seconds(299...300), .seconds(599...600)) = (timed.preferredLifetime, timed.validLifetime) else {
        Issue.record("\(timed)")
        return
      }
      #expect(try netlink.addresses(IPv4Address.self, interface: near).count == 2)
      #expect(try netlink.addresses(IPv4Address.self, interface: 4711).isEmpty)

      let six = try netlink.addresses(IPv6Address.self, interface: near)
      let global = try #require(six.first { $0.address.isGlobalUnicast })
      #expect(global.address == (try IPv6Address("2001:db8:1::7")))
      #expect(global.flags.isSuperset(of: [.managesTemporaryAddresses, .noPrefixRoute, .deprecated]))
      #expect(global.isUsable)
      #expect(global.preferredLifetime == .seconds(0))
      let linkLocal = try #require(six.first { $0.address.isLinkLocal })
      #expect(linkLocal.scope == .link)
    }
  }

  @Test func anIPv4AddressIsAddedReplacedAndRemoved() throws {
    try inNetworkNamespace {
      try Self.makeLinks()
      var netlink = try NetlinkSocket()
      let near = try Self.near(&netlink)
      var address = InterfaceAddress(interfaceIndex: near, address: IPv4Address(133, 209, 13, 2))
      try netlink.addAddress(address, ifExists: .fail)
      var shown = try #require(try Self.shown("dev near").first { $0.family == "inet" })
      #expect(shown.local == "133.209.13.2")
      #expect(shown.prefixlen == 32)
      #expect(shown.valid_life_time == .max)
      #expect(shown.scope == "global")
      let read = try #require(try netlink.addresses(IPv4Address.self).first)
      address.flags = .permanent
      #expect(read == address)

      #expect(try caught { () throws(NetlinkError) in try netlink.addAddress(address, ifExists: .fail) }.alreadyExists)
      address.validLifetime = .seconds(1000)
      address.preferredLifetime = .seconds(500)
      try netlink.addAddress(address, ifExists: .replace)
      shown = try #require(try Self.shown("dev near").first { $0.family == "inet" })
      #expect((990...1000).contains(shown.valid_life_time))
      #expect((490...500).contains(shown.preferred_life_time))

      // The same address with another prefix length is another address.
      var other = address
      other.prefixLength = 24
      try netlink.addAddress(other, ifExists: .fail)
      try netlink.deleteAddress(address)
      #expect(try netlink.addresses(IPv4Address.self).map(\.prefixLength) == [24])
      let error = try caught { () throws(NetlinkError) in try netlink.deleteAddress(address) }
      #expect(error.isAlreadyGone)
      #expect(error.description.hasPrefix("cannot remove the address 133.209.13.2/32 on interface \(near): "))
    }
  }

  @Test func anOptimisticAddressIsUsableDuringDetectionWhereTheHostAllowsIt() throws {
    try inNetworkNamespace {
      try Self.makeLinks()
      try shell("echo 1 >/proc/sys/net/ipv6/conf/all/optimistic_dad")
      let monitor = try NetlinkMonitor()
      var netlink = try NetlinkSocket()
      let near = try Self.near(&netlink)
      let ce = try IPv6Address("2404:7a82:4d02:4100:85:d10d:200:4100")
      try netlink.addAddress(
        InterfaceAddress(
          interfaceIndex: near, address: ce, flags: [.noPrefixRoute, .optimistic], preferredLifetime: .seconds(0)),
        ifExists: .replace)
      let early = try Self.find(ce, near, &netlink)
      #expect(early.flags.isSuperset(of: [.tentative, .optimistic]) && early.isUsable)
      // In the end nothing tells it from any other.
      #expect(
        try waitUntil(monitor, seconds: 15) {
          try Self.find(ce, near, &netlink).flags.isDisjoint(with: [.tentative, .optimistic])
        })
      #expect(try Self.find(ce, near, &netlink).isUsable)
    }
  }

  @Test func aCEAddressPassesDuplicateAddressDetectionAndIsNeverChosenAsSource() throws {
    try inNetworkNamespace {
      try Self.makeLinks()
      let monitor = try NetlinkMonitor()
      var netlink = try NetlinkSocket()
      let near = try Self.near(&netlink)
      let ce = try IPv6Address("2404:7a82:4d02:4100:85:d10d:200:4100")
      let address = InterfaceAddress(
        interfaceIndex: near, address: ce, flags: .noPrefixRoute, preferredLifetime: .seconds(0))
      try netlink.addAddress(address, ifExists: .replace)
      func current() throws -> InterfaceAddress<IPv6Address> {
        try Self.find(ce, near, &netlink)
      }
      let early = try current()
      #expect(early.flags.contains(.tentative))
      #expect(!early.isUsable)
      #expect(try waitUntil(monitor, seconds: 15) { try current().isUsable })
      let late = try current()
      #expect(late.flags.isSuperset(of: [.deprecated, .permanent, .noPrefixRoute]))
      #expect(late.flags.isDisjoint(with: [.tentative, .duplicateDetected, .noDuplicateDetection]))
      #expect(late.protocol == .routerd)
      #expect(late.validLifetime == .forever)
      #expect(late.preferredLifetime == .seconds(0))
      #expect(late.prefixLength == 128)
      let shown = try #require(try Self.shown("dev near").first { $0.local == "\(ce)" })
      #expect(shown.noprefixroute == true && shown.deprecated == true && shown.tentative != true)
      #expect(shown.preferred_life_time == 0 && shown.valid_life_time == .max)

      // The same once more changes nothing: above all, detection does not start again.
      try netlink.addAddress(address, ifExists: .replace)
      #expect(try current() == late)
      #expect(try netlink.routes(IPv6Address.self, table: .main).allSatisfy { !$0.destination.contains(ce) })

      // Although it is the nearest to this destination by far, another address is the source.
      try ip("address add 2001:db8:5::1/64 dev near nodad")
      try ip("route add 2404:7a82::/32 dev near")
      let chosen = try ipShow("route get 2404:7a82:4d02:4100::9", as: [Chosen].self)
      #expect(chosen.map(\.prefsrc) == ["2001:db8:5::1"])

      try netlink.deleteAddress(address)
      #expect(try netlink.addresses(IPv6Address.self, interface: near).allSatisfy { $0.address != ce })
      #expect(try caught { () throws(NetlinkError) in try netlink.deleteAddress(address) }.isAlreadyGone)
    }
  }

  @Test func aDuplicateIsSeen() throws {
    try inNetworkNamespace {
      try Self.makeLinks()
      let monitor = try NetlinkMonitor()
      var netlink = try NetlinkSocket()
      let near = try Self.near(&netlink)
      try ip("address add 2001:db8:2::1/128 dev far nodad")
      let address = InterfaceAddress(
        interfaceIndex: near, address: try IPv6Address("2001:db8:2::1"), flags: .noPrefixRoute,
        preferredLifetime: .seconds(0))
      try netlink.addAddress(address, ifExists: .fail)
      func current() throws -> InterfaceAddress<IPv6Address> {
        try Self.find(address.address, near, &netlink)
      }
      #expect(try waitUntil(monitor, seconds: 15) { try current().flags.contains(.duplicateDetected) })
      #expect(try !current().isUsable)
      #expect(try Self.shown("dev near").contains { $0.local == "2001:db8:2::1" && $0.dadfailed == true })
    }
  }
}
