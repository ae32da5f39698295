// SPDX-License-Identifier: GPL-3.0-or-later
//
// The plan against a simulated kernel: from any state it must come to rest in the desired one, and stay there with
// nothing to do.

import NFTables
import Netlink
import PortSetNAT
import RouterCore
import RouterKit
import Testing

struct PlanTests {
  private var configuration: Configuration {
    var configuration = Configuration()
    configuration.wan.interface = "wan0"
    configuration.lan.interfaces = ["lan0"]
    return configuration
  }

  private func desired(
    _ prefix: String = "2001:db8:12:3400::/56", relay: String = "2001:db8:ffff::1",
    forwards: [PortForward] = []
  ) throws -> DesiredState {
    let rule = try MappingRule(
      ipv6Prefix: IPv6Prefix("2001:db8::/40"), ipv4Prefix: IPv4Prefix("192.0.2.0/24"), eaBitsLength: 16, psidOffset: 4,
      identifierFormat: .draft03)
    var configuration = configuration
    configuration.forwards = forwards
    return DesiredState(
      configuration,
      softwire: .mapE(
        MAPESoftwire(
          parameters: try rule.parameters(for: IPv6Prefix(prefix)), borderRelay: try IPv6Address(relay))),
      deviceNames: SimulatedDataplane.tun.deviceNames)
  }

  @Test func buildsEverythingFromNothingAndThenRests() throws {
    var kernel = SimulatedKernel()
    let desired = try desired()
    let plan = kernel.settle(desired)
    #expect(plan.changes.isEmpty && plan.waitingFor == nil && plan.obstacle == nil && plan.warnings.isEmpty)
    #expect(kernel.observed(desired).tunnel?.tunnel == desired.tunnel)
    #expect(kernel.state.table == desired.nat.table)
    #expect(kernel.state.ipv4Addresses.map(\.address.description) == ["192.0.2.18"])
    #expect(kernel.state.ipv4Routes.map(\.metric) == [50])
    #expect(kernel.state.link(named: "softwire0")?.ipv4Settings == [.forwarding: 1, .reversePathFilter: 2])
    #expect(kernel.state.link(named: "lan0")?.ipv4Settings == [.forwarding: 1])
    let address = try #require(kernel.state.ipv6Addresses.first)
    #expect(address.preferredLifetime == .seconds(0) && address.flags.contains(.noPrefixRoute))
    #expect(!address.flags.contains(.noDuplicateDetection))
  }

  @Test func aLineWithoutCarrierIsWarnedOf() throws {
    var kernel = SimulatedKernel()
    let desired = try desired()
    _ = kernel.settle(desired)
    let wan = try #require(kernel.state.links.firstIndex { $0.name == "wan0" })
    kernel.state.links[wan].hasCarrier = false
    let plan = kernel.settle(desired)
    #expect(plan.changes.isEmpty && plan.warnings.count == 1 && plan.warnings[0].contains("wan0 has no link"))
  }

  @Test func touchesNothingElseBeforeTheAddressIsUsable() throws {
    var kernel = SimulatedKernel()
    _ = kernel.settle(try desired())
    kernel.isDetectionInstant = false
    kernel.log = []
    let other = try desired("2001:db8:99:aa00::/56")
    let plan = kernel.settle(other)
    // The new address is there and tentative; the old softwire is whole.
    #expect(plan.waitingFor?.contains("duplicate address detection") == true)
    #expect(kernel.log.count == 1)
    #expect(kernel.tunnel == (try desired().tunnel))
    for index in kernel.state.ipv6Addresses.indices { kernel.state.ipv6Addresses[index].flags.remove(.tentative) }
    _ = kernel.settle(other)
    #expect(kernel.state.ipv6Addresses.map(\.address) == [other.tunnel.localAddress])
    #expect(kernel.state.ipv4Addresses.map(\.address) == [other.ipv4Address])
    #expect(kernel.state.ipv4Routes.map(\.preferredSource) == [other.ipv4Address])
  }

  @Test func makesBeforeItBreaks() throws {
    var kernel = SimulatedKernel()
    let old = try desired()
    _ = kernel.settle(old)
    kernel.log = []
    let new = try desired("2001:db8:99:aa00::/56")
    _ = kernel.settle(new)
    let tunnel = try #require(kernel.log.firstIndex(of: .applyTunnel(new.tunnel)))
    let table = try #require(kernel.log.firstIndex(of: .applyTable(new.nat.table)))
    let route = try #require(kernel.log.firstIndex { if case .setRoute = $0 { true } else { false } })
    let removals = kernel.log.indices.filter {
      switch kernel.log[$0] {
      case .removeIPv4Address, .removeIPv6Address, .removeRoute, .removeDevice: true
      default: false
      }
    }
    // The new table lets nothing leave from the old ends that was translated for the new ones.
    #expect(table < tunnel && tunnel < route)
    #expect(removals.allSatisfy { $0 > route } && !removals.isEmpty)
    // The flows of the old address go in the same breath as the table that no longer carries them.
    #expect(kernel.log[table + 1] == .forgetFlows(old.ipv4Address))
  }

  @Test func anotherPortSetOfTheSameAddressForgetsItsFlows() throws {
    var kernel = SimulatedKernel()
    _ = kernel.settle(try desired("2001:db8:12:3400::/56"))
    kernel.log = []
    let other = try desired("2001:db8:12:3500::/56")
    _ = kernel.settle(other)
    #expect(kernel.log.contains(.forgetFlows(other.ipv4Address)))
  }

  @Test func aForwardForgetsFlowsOfItsPortsOnly() throws {
    var kernel = SimulatedKernel()
    _ = kernel.settle(try desired())
    kernel.log = []
    let port = try #require(portSet(of: try desired())?.ports[2])
    let other = try desired(forwards: [PortForward([.tcp], external: port, to: IPv4Address(10, 0, 0, 9), port: 80)])
    _ = kernel.settle(other)
    guard case .forgetFlows(let address, let ports?) = kernel.log.last else {
      Issue.record("\(kernel.log)")
      return
    }
    #expect(kernel.log == [.applyTable(other.nat.table), .forgetFlows(address, ports: ports)])
    // Its own private port, and the last one, which took its place.
    #expect(address == other.ipv4Address && ports.count == 2)
  }

  @Test func aForwardOfAnotherPortIsAProblemAndChangesNothing() throws {
    var kernel = SimulatedKernel()
    let plain = try desired()
    _ = kernel.settle(plain)
    let other = try desired(forwards: [PortForward([.tcp], external: 443, to: IPv4Address(10, 0, 0, 9), port: 80)])
    #expect(other.nat.table == plain.nat.table && other.nat.problems.count == 1)
    #expect(Plan(desired: other, observed: kernel.observed(other)).changes.isEmpty)
  }

  private func portSet(of desired: DesiredState) -> PortSet? {
    if case .mapE(_, let set) = desired.nat.kind { set } else { nil }
  }

  @Test func aDamagedTableIsRepairedWithoutForgettingFlows() throws {
    var kernel = SimulatedKernel()
    let desired = try desired()
    _ = kernel.settle(desired)
    let whole = desired.nat.table
    kernel.state.table = Table(
      name: whole.name, comment: whole.comment, counters: whole.counters, sets: Array(whole.sets.dropLast()),
      chains: whole.chains)
    kernel.log = []
    _ = kernel.settle(desired)
    #expect(kernel.log == [.applyTable(whole)])
  }

  @Test func anAddressOfSomebodyElseIsAnObstacle() throws {
    var kernel = SimulatedKernel()
    let desired = try desired()
    let plan = Plan(desired: desired, observed: kernel.observed(desired))
    for change in plan.changes { kernel.apply(change) }
    kernel.state.ipv6Addresses[0].flags.formUnion([.duplicateDetected, .tentative])
    let blocked = Plan(desired: desired, observed: kernel.observed(desired))
    #expect(blocked.changes.isEmpty)
    #expect(blocked.obstacle?.contains("in use by another device on wan0") == true)
    // Trying again takes the address away first, since the kernel detects only once.
    let retry = Plan(desired: desired, observed: kernel.observed(desired), retriesDuplicates: true)
    #expect(retry.changes == [.removeIPv6Address(kernel.state.ipv6Addresses[0])])
  }

  @Test func anAddressThatWasTakenAwayIsInUseAgainAtOnce() throws {
    var kernel = SimulatedKernel()
    let desired = try desired()
    _ = kernel.settle(desired)
    kernel.isDetectionInstant = false
    kernel.state.ipv6Addresses = []
    func plan(reclaims: Bool) -> Plan {
      Plan(desired: desired, observed: kernel.observed(desired), reclaims: reclaims)
    }
    for change in plan(reclaims: true).changes { kernel.apply(change) }
    #expect(kernel.state.ipv6Addresses.map(\.flags) == [[.noPrefixRoute, .optimistic, .tentative]])
    let rest = plan(reclaims: true)
    #expect(rest.waitingFor == nil && rest.changes.isEmpty)
    // If somebody else has taken it meanwhile, that still comes out.
    kernel.state.ipv6Addresses[0].flags = [.noPrefixRoute, .tentative, .duplicateDetected]
    #expect(plan(reclaims: true).obstacle != nil)
  }

  @Test func anAddressIsNotReclaimedOnALinkThatWasDown() throws {
    var kernel = SimulatedKernel(wan: Link(index: 2, name: "wan0", isUp: true, hasCarrier: false, mtu: 1500))
    let desired = try desired()
    _ = kernel.settle(desired)
    kernel.isDetectionInstant = false
    kernel.state.ipv6Addresses = []
    let plan = Plan(desired: desired, observed: kernel.observed(desired), reclaims: true)
    for change in plan.changes { kernel.apply(change) }
    #expect(kernel.state.ipv6Addresses.map(\.flags) == [[.noPrefixRoute, .tentative]])
    #expect(Plan(desired: desired, observed: kernel.observed(desired), reclaims: true).waitingFor != nil)
  }

  @Test func aMissingOrDeadInterfaceIsWaitedFor() throws {
    let gone = SimulatedKernel(wan: Link(index: 2, name: "other", isUp: true, hasCarrier: true, mtu: 1500))
    let plan = Plan(desired: try desired(), observed: gone.state)
    #expect(plan.waitingFor == "there is no interface wan0" && plan.changes.isEmpty)
    var down = SimulatedKernel(wan: Link(index: 2, name: "wan0", isUp: false, hasCarrier: false, mtu: 1500))
    down.isDetectionInstant = false
    #expect(down.settle(try desired()).waitingFor == "wan0 is down")
  }

  @Test func foreignDefaultRoutesAreLeftAlone() throws {
    var kernel = SimulatedKernel()
    let default0 = IPv4Prefix(of: IPv4Address(bits: 0), length: 0)
    let foreign = Route<IPv4Address>(
      destination: default0, gateway: IPv4Address(192, 168, 100, 1), interfaceIndex: 3, protocol: .dhcp, metric: 10)
    kernel.state.ipv4Routes = [foreign]
    let plan = kernel.settle(try desired())
    #expect(plan.warnings.first?.contains("192.168.100.1 on lan0 has metric 10") == true)
    #expect(kernel.state.ipv4Routes.contains(foreign) && kernel.state.ipv4Routes.count == 2)
    // With the same metric, ours would replace it in the kernel: say so, and touch neither.
    var same = SimulatedKernel()
    var equal = foreign
    equal.metric = 50
    same.state.ipv4Routes = [equal]
    let blocked = same.settle(try desired())
    #expect(blocked.obstacle?.contains("another default route with metric 50") == true)
    #expect(same.state.ipv4Routes == [equal])
  }

  @Test func removesOnlyWhatCarriesItsMarks() throws {
    var kernel = SimulatedKernel()
    let desired = try desired()
    _ = kernel.settle(desired)
    let device = try #require(kernel.state.link(named: "softwire0"))
    let foreign4 = InterfaceAddress(
      interfaceIndex: device.index, address: IPv4Address(10, 0, 0, 1), protocol: .unspecified)
    let foreign6 = InterfaceAddress(
      interfaceIndex: 2, address: try IPv6Address("2001:db8:12:3400::1"), protocol: .unspecified)
    let stale6 = InterfaceAddress(interfaceIndex: 2, address: try IPv6Address("2001:db8:12:3400::99"))
    let foreignRoute = Route<IPv4Address>(
      destination: try IPv4Prefix("10.0.0.0/8"), interfaceIndex: device.index, protocol: .static)
    kernel.state.ipv4Addresses.append(foreign4)
    kernel.state.ipv6Addresses += [foreign6, stale6]
    kernel.state.ipv4Routes.append(foreignRoute)
    kernel.state.links += [
      Link(index: 90, name: "old0", kind: "tun", alias: "routerd", isUp: true, hasCarrier: true, mtu: 1460),
      Link(index: 91, name: "vpn0", kind: "tun", isUp: true, hasCarrier: true, mtu: 1420),
    ]
    kernel.log = []
    #expect(kernel.settle(desired).changes.isEmpty)
    #expect(kernel.log == [.removeDevice("old0"), .removeIPv6Address(stale6)])
    for change in kernel.state.teardown { kernel.apply(change) }
    #expect(kernel.state.ipv6Addresses == [foreign6])
    #expect(kernel.state.link(named: "softwire0") == nil && kernel.state.link(named: "vpn0") != nil)
  }

  /// Whatever was taken away or added by others, in any combination: the end state is the same.
  @Test func comesBackFromAnyDamage() throws {
    let desired = try desired()
    var whole = SimulatedKernel()
    _ = whole.settle(desired)
    for seed in 0..<256 {
      var kernel = whole
      if seed & 1 != 0 { kernel.state.table = nil }
      if seed & 2 != 0 { kernel.state.ipv4Routes = [] }
      if seed & 4 != 0 { kernel.state.ipv4Addresses = [] }
      if seed & 8 != 0 { kernel.state.ipv6Addresses = [] }
      if seed & 16 != 0 { kernel.tunnel = nil }
      if seed & 32 != 0 { kernel.state.links[2].ipv4Settings = [:] }
      if seed & 64 != 0 { kernel.apply(.removeDevice("softwire0")); kernel.tunnel = nil }
      if seed & 128 != 0 { kernel.state.links[1].ipv4Settings[.forwarding] = 0 }
      let plan = kernel.settle(desired)
      #expect(plan.changes.isEmpty && plan.waitingFor == nil, "seed \(seed)")
      #expect(kernel.state.table == whole.state.table)
      #expect(kernel.state.ipv4Addresses.map(\.address) == whole.state.ipv4Addresses.map(\.address))
      #expect(kernel.state.ipv4Routes.map(\.preferredSource) == whole.state.ipv4Routes.map(\.preferredSource))
      #expect(kernel.state.links.map(\.ipv4Settings) == whole.state.links.map(\.ipv4Settings))
    }
  }
}
