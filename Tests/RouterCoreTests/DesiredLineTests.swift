// SPDX-License-Identifier: GPL-3.0-or-later
//
// A line that routerd runs: what the kernel should have of it, and the way there.

import Netlink
import RouterCore
import RouterKit
import Testing

struct DesiredLineTests {
  private let wan = Link(
    index: 2, name: "wan0", isUp: true, hasCarrier: true, mtu: 1500, hardwareAddress: [2, 0, 0, 0, 0x12, 0x34])
  private var observed: ObservedState {
    ObservedState(links: [wan, Link(index: 1, name: "lo", isUp: true, hasCarrier: true, mtu: 65536)])
  }

  private func desired(
    _ line: LineState, gateway: IPv6Address? = nil, observed: ObservedState? = nil
  ) throws -> DesiredLine {
    try #require(DesiredLine(line, interface: "wan0", gateway: gateway, observed: observed ?? self.observed))
  }

  @Test func aPrefixOnTheLinkGivesAddressAndRoute() throws {
    let line = try desired(
      LineState(
        isSettled: true, routers: [.init(address: IPv6Address("fe80::1"))],
        prefixes: [.init(IPv6Prefix("2001:db8:1:2::/64"), .advertised(isOnLink: true, isAutonomous: true))], mtu: 1492))
    #expect(line.addresses.map(\.address.description) == ["2001:db8:1:2:0:ff:fe00:1234"])
    #expect(line.addresses.allSatisfy { $0.protocol == .routerdLine && $0.preferredLifetime == .forever })
    #expect(line.routes.map(\.destination.description) == ["2001:db8:1:2::/64", "::/0"])
    #expect(line.routes.last?.gateway?.description == "fe80::1")
    #expect(line.routes.last?.mtu == 1492)
  }

  /// A 10G line gives no prefix on the link; the router itself needs an address all the same.
  @Test func aDelegatedPrefixAloneGivesAnAddressAndTakesWhatNobodyUses() throws {
    let line = try desired(LineState(isSettled: true, prefixes: [.init(IPv6Prefix("2001:db8:5600::/56"), .delegated)]))
    #expect(line.addresses.map(\.address.description) == ["2001:db8:5600::ff:fe00:1234"])
    #expect(line.addresses.map(\.prefixLength) == [128])
    #expect(line.routes.map(\.kind) == [.unreachable])
    #expect(line.routes.map(\.interfaceIndex) == [1])
  }

  @Test func theLinkLocalAddressGivesTheIdentifier() throws {
    var observed = observed
    observed.ipv6Addresses = [
      InterfaceAddress(
        interfaceIndex: 2, address: try IPv6Address("fe80::abcd"), prefixLength: 64, protocol: .init(rawValue: 3))
    ]
    let line = try desired(
      LineState(prefixes: [.init(IPv6Prefix("2001:db8:1:2::/64"), .advertised(isOnLink: false, isAutonomous: true))]),
      observed: observed)
    #expect(line.addresses.map(\.address.description) == ["2001:db8:1:2::abcd"])
    #expect(line.routes.isEmpty, "a prefix that is not on the link has no route")
  }

  @Test func routersHaveTheirOrder() throws {
    let first = try IPv6Address("fe80::1")
    let second = try IPv6Address("fe80::2")
    let own = try IPv6Address("fe80::3")
    let line = try desired(
      LineState(routers: [.init(address: first), .init(address: second, preference: 1), .init(address: own)]),
      gateway: own)
    #expect(line.routes.map(\.gateway) == [own, second, first])
    #expect(Set(line.routes.map(\.metric)).count == 3)
  }

  @Test func thePlanComesToRestAndLeavesNothingBehind() throws {
    var kernel = SimulatedKernel(wan: wan)
    kernel.state.links.append(Link(index: 1, name: "lo", isUp: true, hasCarrier: true, mtu: 65536))
    let stranger = InterfaceAddress(
      interfaceIndex: 2, address: try IPv6Address("2001:db8:9::1"), protocol: .init(rawValue: 2))
    kernel.state.ipv6Addresses = [stranger]
    let states = [
      LineState(
        routers: [.init(address: try IPv6Address("fe80::1"))],
        prefixes: [.init(try IPv6Prefix("2001:db8:1:2::/64"), .advertised(isOnLink: true, isAutonomous: true))]),
      LineState(
        routers: [.init(address: try IPv6Address("fe80::2"))],
        prefixes: [
          .init(
            try IPv6Prefix("2001:db8:1:2::/64"), .advertised(isOnLink: true, isAutonomous: true), isPreferred: false),
          .init(try IPv6Prefix("2001:db8:5600::/56"), .delegated),
        ]),
    ]
    for state in states {
      for change in LinePlan(desired: try desired(state), observed: kernel.state).changes { kernel.apply(change) }
      #expect(LinePlan(desired: try desired(state), observed: kernel.state).changes == [])
    }
    #expect(kernel.state.ipv6Routes.compactMap(\.gateway).map(\.description) == ["fe80::2"])
    for change in LinePlan(desired: nil, observed: kernel.state).changes { kernel.apply(change) }
    #expect(kernel.state.ipv6Addresses == [stranger])
    #expect(kernel.state.ipv6Routes == [])
  }

  @Test func softwiresPreferWhatIsDelegatedAndInUse() throws {
    let link = LineState.Prefix.Origin.advertised(isOnLink: true, isAutonomous: true)
    let line = LineState(prefixes: [
      .init(try IPv6Prefix("2001:db8:1::/64"), link),
      .init(try IPv6Prefix("2001:db8:200::/56"), .delegated, isPreferred: false),
      .init(try IPv6Prefix("2001:db8:300::/56"), .delegated), .init(try IPv6Prefix("fd00:1::/64"), link),
    ])
    #expect(line.softwirePrefixes.map(\.description) == ["2001:db8:300::/56", "2001:db8:1::/64", "2001:db8:200::/56"])
  }
}
