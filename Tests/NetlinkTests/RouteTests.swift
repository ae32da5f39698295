// SPDX-License-Identifier: GPL-3.0-or-later
//
// Routes against the kernel, in a namespace with
//
//   near ──(veth)── far        near: 192.0.2.7/24, 2001:db8:1::7/64

import Glibc
import Netlink
import RouterKit
import TestSupport
import Testing

@Suite struct RouteTests {
  private struct Shown: Decodable {
    let type: String?
    let dst: String
    let gateway: String?
    let dev: String?
    let `protocol`: String?
    let scope: String?
    let prefsrc: String?
    let metric: UInt32?
    let table: String?
    let metrics: [Metrics]?
    struct Metrics: Decodable {
      let mtu: UInt32?
    }
  }

  private static func makeLinks() throws {
    try ip("link add near type veth peer name far")
    try ip("link set near up")
    try ip("link set far up")
    try ip("address add 192.0.2.7/24 dev near")
    try ip("address add 2001:db8:1::7/64 dev near nodad")
  }

  private static func near(_ netlink: inout NetlinkSocket) throws -> UInt32 {
    try #require(try netlink.link(named: "near")).index
  }

  @Test func theRoutesOfOthersAreRead() throws {
    try inNetworkNamespace {
      try Self.makeLinks()
      try ip("route add default via 192.0.2.1 dev near proto static metric 100 src 192.0.2.7 mtu 1400")
      try ip("route add blackhole 10.0.0.0/8")
      try ip("route add 198.51.100.0/24 table 1000 dev near proto 133")
      try ip("route add 203.0.113.0/24 nexthop via 192.0.2.1 dev near nexthop via 192.0.2.2 dev near")
      var netlink = try NetlinkSocket()
      let near = try Self.near(&netlink)
      let routes = try netlink.routes(IPv4Address.self)
      #expect(
        routes.contains(
          Route(
            destination: try IPv4Prefix("0.0.0.0/0"), gateway: IPv4Address(192, 0, 2, 1), interfaceIndex: near,
            protocol: .static, metric: 100, preferredSource: IPv4Address(192, 0, 2, 7), mtu: 1400)))
      #expect(
        routes.contains(
          Route(destination: try IPv4Prefix("10.0.0.0/8"), interfaceIndex: nil, protocol: .boot, kind: .blackhole)))
      #expect(
        routes.contains(
          Route(
            destination: try IPv4Prefix("192.0.2.0/24"), interfaceIndex: near, protocol: .kernel,
            preferredSource: IPv4Address(192, 0, 2, 7))))
      #expect(
        routes.contains(
          Route(
            destination: try IPv4Prefix("192.0.2.7/32"), interfaceIndex: near, table: .local, protocol: .kernel,
            preferredSource: IPv4Address(192, 0, 2, 7), kind: .local)))
      let many = try #require(routes.first { $0.destination.description == "203.0.113.0/24" })
      #expect(many.interfaceIndex == nil && many.gateway == nil)

      let high = RouteTable(rawValue: 1000)
      #expect(try netlink.routes(IPv4Address.self, table: high).map(\.destination.description) == ["198.51.100.0/24"])
      #expect(try netlink.routes(IPv4Address.self, table: high, protocol: .static).isEmpty)
      #expect(try netlink.routes(IPv4Address.self, protocol: .routerd).map(\.table) == [high])
      #expect(try netlink.routes(IPv4Address.self, table: RouteTable(rawValue: 77)).isEmpty)
      #expect(try netlink.routes(IPv6Address.self, table: RouteTable(rawValue: 77)).isEmpty)
    }
  }

  @Test func theDefaultRouteOfASoftwireIsAddedAndRemoved() throws {
    try inNetworkNamespace {
      try Self.makeLinks()
      var netlink = try NetlinkSocket()
      let near = try Self.near(&netlink)
      try ip("address add 133.209.13.2/32 dev near")
      let route = Route(
        destination: try IPv4Prefix("0.0.0.0/0"), interfaceIndex: near, metric: 50,
        preferredSource: IPv4Address(133, 209, 13, 2), mtu: 1460)
      try netlink.addRoute(route, ifExists: .fail)
      let shown = try #require(try ipShow("-d route show default", as: [Shown].self).first)
      #expect(shown.dev == "near" && shown.gateway == nil && shown.scope == "link")
      #expect(shown.protocol == "133")
      #expect(shown.metric == 50)
      #expect(shown.prefsrc == "133.209.13.2")
      #expect(shown.metrics?.first?.mtu == 1460)
      #expect(try netlink.routes(protocol: .routerd) == [route])

      let again = try caught { () throws(NetlinkError) in try netlink.addRoute(route, ifExists: .fail) }
      #expect(again.alreadyExists)
      #expect(again.description.hasPrefix("cannot add the route 0.0.0.0/0 on interface \(near) metric 50: File exists"))

      var changed = route
      changed.mtu = nil
      changed.preferredSource = nil
      try netlink.addRoute(changed, ifExists: .replace)
      #expect(try netlink.routes(protocol: .routerd) == [changed])

      // Somebody else's default route beside ours stays.
      try ip("route add default via 192.0.2.1 dev near metric 200")
      try netlink.deleteRoute(route)
      #expect(try ipShow("route show default", as: [Shown].self).map(\.metric) == [200])
      #expect(try caught { () throws(NetlinkError) in try netlink.deleteRoute(route) }.isAlreadyGone)
    }
  }

  @Test func anIPv6RouteIsAddedReplacedAndRemoved() throws {
    try inNetworkNamespace {
      try Self.makeLinks()
      var netlink = try NetlinkSocket()
      let near = try Self.near(&netlink)
      var route = Route(
        destination: try IPv6Prefix("::/0"), gateway: try IPv6Address("fe80::1"), interfaceIndex: near, metric: 2048)
      try netlink.addRoute(route, ifExists: .fail)
      #expect(try netlink.routes(protocol: .routerd) == [route])
      var shown = try #require(try ipShow("-6 -d route show default", as: [Shown].self).first)
      #expect(shown.gateway == "fe80::1" && shown.dev == "near" && shown.metric == 2048)
      #expect(shown.protocol == "133")
      #expect(try caught { () throws(NetlinkError) in try netlink.addRoute(route, ifExists: .fail) }.alreadyExists)

      route.gateway = try IPv6Address("fe80::2")
      route.mtu = 1492
      try netlink.addRoute(route, ifExists: .replace)
      #expect(try netlink.routes(protocol: .routerd) == [route])
      shown = try #require(try ipShow("-6 -d route show default", as: [Shown].self).first)
      #expect(shown.gateway == "fe80::2" && shown.metrics?.first?.mtu == 1492)

      // The kernel's own choice of a metric.
      var plain = Route(destination: try IPv6Prefix("2001:db8:9::/48"), interfaceIndex: near)
      try netlink.addRoute(plain, ifExists: .fail)
      plain.metric = 1024
      #expect(try netlink.routes(protocol: .routerd).contains(plain))

      try netlink.deleteRoute(route)
      try netlink.deleteRoute(plain)
      #expect(try netlink.routes(IPv6Address.self, protocol: .routerd).isEmpty)
      #expect(try caught { () throws(NetlinkError) in try netlink.deleteRoute(plain) }.isAlreadyGone)
    }
  }

  @Test func aRouteWithoutInterfaceIsAddedAndRemoved() throws {
    try inNetworkNamespace {
      try Self.makeLinks()
      var netlink = try NetlinkSocket()
      let four = Route(destination: try IPv4Prefix("10.0.0.0/8"), interfaceIndex: nil, kind: .blackhole)
      var six = Route(
        destination: try IPv6Prefix("2001:db8:8::/48"), interfaceIndex: nil, metric: 9, kind: .unreachable)
      try netlink.addRoute(four, ifExists: .fail)
      try netlink.addRoute(six, ifExists: .fail)
      #expect(try netlink.routes(protocol: .routerd) == [four])
      #expect(try ipShow("route show 10.0.0.0/8", as: [Shown].self).map(\.type) == ["blackhole"])
      // IPv6 shows loopback, under which the route can be removed as well.
      six.interfaceIndex = 1
      #expect(try netlink.routes(protocol: .routerd) == [six])
      try netlink.deleteRoute(four)
      try netlink.deleteRoute(six)
      #expect(try netlink.routes(IPv4Address.self, protocol: .routerd).isEmpty)
      #expect(try netlink.routes(IPv6Address.self, protocol: .routerd).isEmpty)
    }
  }

  @Test func aTableBehindTheByteOfTheHeaderWorks() throws {
    try inNetworkNamespace {
      try Self.makeLinks()
      var netlink = try NetlinkSocket()
      let near = try Self.near(&netlink)
      let table = RouteTable(rawValue: 100_000)
      let four = Route(destination: try IPv4Prefix("10.1.0.0/16"), interfaceIndex: near, table: table)
      let six = Route(destination: try IPv6Prefix("2001:db8:77::/48"), interfaceIndex: near, table: table, metric: 7)
      try netlink.addRoute(four, ifExists: .fail)
      try netlink.addRoute(six, ifExists: .fail)
      #expect(try netlink.routes(table: table) == [four])
      #expect(try netlink.routes(table: table) == [six])
      #expect(try ipShow("route show table 100000", as: [Shown].self).map(\.dst) == ["10.1.0.0/16"])
      try netlink.deleteRoute(four)
      try netlink.deleteRoute(six)
      #expect(try netlink.routes(IPv4Address.self, table: table).isEmpty)
    }
  }

  @Test func theKernelsReasonIsInTheError() throws {
    let error = try inNetworkNamespace {
      try Self.makeLinks()
      var netlink = try NetlinkSocket()
      let route = Route(
        destination: try IPv4Prefix("0.0.0.0/0"), gateway: IPv4Address(203, 0, 113, 9), interfaceIndex: nil)
      return try caught { () throws(NetlinkError) in try netlink.addRoute(route, ifExists: .fail) }
    }
    #expect(error.code == ENETUNREACH)
    #expect(error.kernelMessage == "Nexthop has invalid gateway")
    #expect(
      error.description
        == "cannot add the route 0.0.0.0/0 via 203.0.113.9 metric 0: Network is unreachable (the kernel says: Nexthop has invalid gateway)"
    )
  }

  @Test func twoThousandRoutesArriveWhole() throws {
    try inNetworkNamespace {
      try Self.makeLinks()
      var lines: [String] = []
      for number in 0..<2000 {
        lines.append("route add 10.\(number / 250).\(number % 250).0/24 via 192.0.2.1 dev near proto 133")
        lines.append("route add 2001:db8:4:\(String(number, radix: 16))::/64 dev near proto 133")
      }
      try ipBatch(lines)
      var netlink = try NetlinkSocket()
      let four = try netlink.routes(IPv4Address.self, protocol: .routerd)
      let six = try netlink.routes(IPv6Address.self, protocol: .routerd)
      #expect(four.count == 2000 && Set(four.map(\.destination)).count == 2000)
      #expect(six.count == 2000 && Set(six.map(\.destination)).count == 2000)
      #expect(try netlink.routes(IPv4Address.self, protocol: .static).isEmpty)
    }
  }
}
