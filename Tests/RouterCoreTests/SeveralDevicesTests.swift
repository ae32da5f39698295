// SPDX-License-Identifier: GPL-3.0-or-later
//
// The plan where a softwire has one device for each allowed relay.

import Netlink
import PortSetNAT
import RouterCore
import RouterKit
import Testing

struct SeveralDevicesTests {
  private static let relays = ["2001:db8:ffff::1", "2001:db8:ffff::2"]

  private var configuration: Configuration {
    var configuration = Configuration()
    configuration.wan.interface = "wan0"
    configuration.lan.interfaces = ["lan0"]
    return configuration
  }

  private func desired(
    _ dataplane: SimulatedDataplane = .ip6tnl, prefix: String = "2001:db8:12:3400::/56", relay: String = relays[0],
    allowed: [String] = relays
  ) throws -> DesiredState {
    let rule = try MappingRule(
      ipv6Prefix: IPv6Prefix("2001:db8::/40"), ipv4Prefix: IPv4Prefix("192.0.2.0/24"), eaBitsLength: 16, psidOffset: 4,
      identifierFormat: .draft03)
    let softwire = MAPESoftwire(
      parameters: try rule.parameters(for: IPv6Prefix(prefix)), borderRelay: try IPv6Address(relay),
      allowedRelays: try allowed.map { try IPv6Address($0) })
    return DesiredState(configuration, softwire: .mapE(softwire), deviceNames: dataplane.deviceNames)
  }

  private func kernel(_ dataplane: SimulatedDataplane = .ip6tnl) -> SimulatedKernel {
    var kernel = SimulatedKernel()
    kernel.dataplane = dataplane
    return kernel
  }

  /// The names of the devices with the softwire's address, and of the one that the default route goes through.
  private func devices(_ kernel: SimulatedKernel) -> (addressed: [String], active: [String]) {
    func name(_ index: UInt32?) -> String { kernel.state.links.first { $0.index == index }?.name ?? "none" }
    return (
      kernel.state.ipv4Addresses.map { name($0.interfaceIndex) }.sorted(),
      kernel.state.ipv4Routes.map { name($0.interfaceIndex) }
    )
  }

  @Test func everyDeviceTakesPacketsAndOneCarriesTheRoute() throws {
    var kernel = kernel()
    let desired = try desired()
    #expect(desired.deviceNames == ["softwire0", "softwire1"])
    #expect(desired.nat.devices == ["softwire0", "softwire1"])
    let plan = kernel.settle(desired)
    #expect(plan.changes.isEmpty && plan.waitingFor == nil && plan.obstacle == nil && plan.warnings.isEmpty)
    #expect(devices(kernel).addressed == ["softwire0", "softwire1"])
    #expect(devices(kernel).active == ["softwire0"])
    #expect(Set(kernel.state.ipv4Addresses.map(\.address)) == [desired.ipv4Address])
    for name in desired.deviceNames {
      #expect(kernel.state.link(named: name)?.ipv4Settings == [.forwarding: 1, .reversePathFilter: 2])
    }
  }

  @Test func anotherRelayMovesTheRouteAndNothingElse() throws {
    var kernel = kernel()
    _ = kernel.settle(try desired())
    kernel.log = []
    let other = try desired(relay: Self.relays[1])
    #expect(other.deviceNames == ["softwire1", "softwire0"])
    #expect(kernel.settle(other).changes.isEmpty)
    #expect(kernel.log.count == 1)
    guard case .setRoute(let route) = try #require(kernel.log.first) else {
      Issue.record("\(kernel.log)")
      return
    }
    #expect(route.interfaceIndex == kernel.state.link(named: "softwire1")?.index)
    #expect(devices(kernel).active == ["softwire1"])
  }

  @Test func aRelayThatIsNoLongerAllowedLosesItsDeviceLast() throws {
    var kernel = kernel()
    _ = kernel.settle(try desired(relay: Self.relays[1]))
    kernel.log = []
    let fewer = try desired(allowed: [Self.relays[0]])
    #expect(kernel.settle(fewer).changes.isEmpty)
    #expect(devices(kernel).addressed == ["softwire0"] && devices(kernel).active == ["softwire0"])
    #expect(kernel.state.link(named: "softwire1") == nil)
    #expect(kernel.log.last == .removeDevice("softwire1"))
    // The address is in use on the other device: its flows live on.
    let forgets = kernel.log.contains(.forgetFlows(fewer.ipv4Address))
    #expect(!forgets)
    // And back.
    #expect(kernel.settle(try desired()).changes.isEmpty)
    #expect(devices(kernel).addressed == ["softwire0", "softwire1"])
  }

  @Test func aNewPrefixChangesTheAddressOnEveryDevice() throws {
    var kernel = kernel()
    let old = try desired()
    _ = kernel.settle(old)
    kernel.log = []
    let new = try desired(prefix: "2001:db8:99:aa00::/56")
    #expect(kernel.settle(new).changes.isEmpty)
    #expect(kernel.state.ipv4Addresses.map(\.address) == [new.ipv4Address, new.ipv4Address])
    let forgets = kernel.log.contains(.forgetFlows(old.ipv4Address))
    #expect(forgets)
  }

  @Test(arguments: [SimulatedDataplane.tun, .ip6tnl])
  func theOtherDataplaneTakesOverUnderTheSameName(first: SimulatedDataplane) throws {
    let second: SimulatedDataplane = first == .tun ? .ip6tnl : .tun
    var fresh = kernel(second)
    _ = fresh.settle(try desired(second))
    var kernel = kernel(first)
    _ = kernel.settle(try desired(first))
    kernel.dataplane = second
    kernel.tunnel = nil
    #expect(kernel.settle(try desired(second)).changes.isEmpty)
    #expect(kernel.state.links.filter(\.isRouterds).allSatisfy { $0.kind == second.rawValue })
    #expect(devices(kernel).addressed == devices(fresh).addressed)
    #expect(devices(kernel).active == devices(fresh).active)
    #expect(kernel.state.table == fresh.state.table)
  }

  @Test func theAddressOfDSLiteBringsNoRouteOfItsOwn() throws {
    let line = try IPv6Prefix("2001:db8:12:3400::/56")
    let softwire = DSLiteSoftwire(
      userPrefix: line, aftr: try IPv6Address(Self.relays[0]), allowedRelays: [try IPv6Address(Self.relays[1])])
    let desired = DesiredState(
      configuration, softwire: .dsLite(softwire), deviceNames: SimulatedDataplane.ip6tnl.deviceNames)
    var kernel = kernel()
    #expect(kernel.settle(desired).changes.isEmpty)
    #expect(kernel.state.ipv4Addresses.map(\.address.description) == ["192.0.0.2", "192.0.0.2"])
    #expect(kernel.state.ipv4Addresses.allSatisfy { $0.prefixLength == 29 && $0.flags == [.noPrefixRoute] })
  }

  /// Old and new ends, and translation or none: whichever of tunnel and table comes first, the table that translates is
  /// there while they do not fit.
  @Test func theTableThatTranslatesGuardsTheChange() throws {
    let mapE = try desired()
    let softwire = DSLiteSoftwire(
      userPrefix: try IPv6Prefix("2001:db8:12:3400::/56"), aftr: try IPv6Address("2001:db8:fffe::1"),
      allowedRelays: [try IPv6Address("2001:db8:fffe::2")])
    let dsLite = DesiredState(
      configuration, softwire: .dsLite(softwire), deviceNames: SimulatedDataplane.ip6tnl.deviceNames)
    var kernel = kernel()
    _ = kernel.settle(mapE)
    for next in [dsLite, mapE] {
      kernel.log = []
      #expect(kernel.settle(next).changes.isEmpty)
      let table = try #require(kernel.log.firstIndex { if case .applyTable = $0 { true } else { false } })
      let tunnel = try #require(kernel.log.firstIndex { if case .applyTunnel = $0 { true } else { false } })
      #expect((table < tunnel) == next.nat.translates)
    }
  }

  @Test func teardownRemovesEveryDevice() throws {
    var kernel = kernel()
    _ = kernel.settle(try desired())
    for change in kernel.state.teardown { kernel.apply(change) }
    #expect(kernel.state.links.map(\.name) == ["wan0", "lan0"])
    #expect(kernel.state.ipv4Routes.isEmpty && kernel.state.ipv6Addresses.isEmpty)
  }

  /// Whatever was taken away or changed by others, in any combination: the end state is the same.
  @Test func comesBackFromAnyDamage() throws {
    let desired = try desired()
    var whole = kernel()
    _ = whole.settle(desired)
    for seed in 0..<128 {
      var kernel = whole
      if seed & 1 != 0 { kernel.state.ipv4Addresses.removeFirst() }
      if seed & 2 != 0 { kernel.state.ipv4Addresses.removeLast() }
      if seed & 4 != 0 { kernel.state.ipv4Routes = [] }
      if seed & 8 != 0 { kernel.apply(.removeDevice("softwire0")) }
      if seed & 16 != 0 { kernel.apply(.removeDevice("softwire1")) }
      if seed & 32 != 0 { kernel.tunnel?.mtu = 1280 }
      if seed & 64 != 0, let last = kernel.state.links.indices.last { kernel.state.links[last].ipv4Settings = [:] }
      let plan = kernel.settle(desired)
      #expect(plan.changes.isEmpty && plan.waitingFor == nil, "seed \(seed)")
      #expect(devices(kernel).addressed == devices(whole).addressed, "seed \(seed)")
      #expect(devices(kernel).active == devices(whole).active, "seed \(seed)")
      #expect(kernel.tunnel == desired.tunnel)
    }
  }
}
