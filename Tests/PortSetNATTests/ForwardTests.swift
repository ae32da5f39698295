// SPDX-License-Identifier: GPL-3.0-or-later
//
// Which forwards are possible, and what a change of them does to other connections.

import NFTables
import PortSetNAT
import RouterKit
import Testing

@Suite struct ForwardTests {
  static func forward(_ external: UInt16, _ host: UInt8 = 10, port: UInt16 = 80) -> PortForward {
    PortForward([.tcp, .udp], external: external, to: IPv4Address(192, 168, 1, host), port: port)
  }

  static func spec(
    _ forwards: [PortForward], address: String = "133.209.13.2", layout: (Int, Int, UInt16)? = (4, 8, 65),
    filtering: NATSpec.Filtering = .addressAndPortDependent
  ) throws -> NATSpec {
    let set = layout.flatMap { PortSet(psidOffset: $0.0, psidLength: $0.1, psid: $0.2) }
    return try NATSpec(
      devices: ["softwire0"], localAddress: IPv6Address(KernelTests.ce), relays: [],
      kind: .mapE(address: IPv4Address(address), portSet: set), forwards: forwards, filtering: filtering)
  }

  @Test func aPortOutsideTheSetIsRefusedWithTheSet() throws {
    let spec = try Self.spec([Self.forward(443), Self.forward(5136)])
    #expect(spec.forwards == [Self.forward(5136)])
    #expect(spec.problems.count == 1)
    for part in ["port 443 ", "240 ports", "133.209.13.2", "5136-5151 9232-9247", "62480-62495"] {
      #expect(spec.problems[0].contains(part), "\(spec.problems)")
    }
  }

  @Test func everyPortOfAWholeAddressCanBeForwarded() throws {
    let spec = try Self.spec([Self.forward(443)], layout: nil)
    #expect(spec.forwards.count == 1 && spec.problems.isEmpty)
  }

  @Test func theLastPortIsNotForwarded() throws {
    let set = try #require(PortSet(psidOffset: 0, psidLength: 14, psid: 9))
    let forwards = set.ports.map { Self.forward($0) }
    let spec = try Self.spec([forwards[0]] + forwards, layout: (0, 14, 9))
    #expect(spec.forwards == [forwards[0]] + forwards.prefix(3))
    #expect(spec.problems.count == 1 && spec.problems[0].contains("connections to the outside"))
    #expect(try Self.spec([Self.forward(1)], layout: (0, 16, 0)).problems[0].contains("no port"))
  }

  @Test func dsLiteHasNoPortsToForward() throws {
    let spec = try NATSpec(
      devices: ["softwire0"], localAddress: IPv6Address(KernelTests.ce), relays: [], kind: .dsLite,
      forwards: [Self.forward(443)])
    #expect(spec.forwards.isEmpty && spec.problems[0].contains("AFTR"))
  }

  /// The changes, and the private ports whose connections must go.
  static func change(
    _ old: [PortForward], _ new: [PortForward], layout: (Int, Int, UInt16)? = (4, 8, 65)
  ) throws -> StaleFlows {
    StaleFlows(from: try spec(old, layout: layout).table, to: try spec(new, layout: layout).table)
  }

  @Test func onlyConnectionsOfSwappedPortsGo() throws {
    // Port 5140 is in slot 4, which the last port takes over; the private port at the end, 5391, is no more.
    #expect(try Self.change([], [Self.forward(5140)]) == .ports([5152 + 4, 5391]))
    #expect(try Self.change([Self.forward(5140)], []) == .ports([5152 + 4, 5140]))
    // The last port of the set is at the end already.
    #expect(try Self.change([], [Self.forward(62495)]) == .ports([5391]))
    // One more, and only its own.
    #expect(
      try Self.change([Self.forward(5140)], [Self.forward(5140), Self.forward(5141)]) == .ports([5152 + 5, 5390]))
    // Another host: the port stays what it is, its connections lead to the wrong one.
    #expect(try Self.change([Self.forward(5140)], [Self.forward(5140, 11)]) == .ports([5140]))
    #expect(try Self.change([Self.forward(5140)], [Self.forward(5140)]) == .ports([]))
    // A contiguous set, where private ports are the real ones until some are swapped.
    #expect(try Self.change([], [Self.forward(13312)], layout: (0, 8, 52)) == .ports([13312, 13567]))
    #expect(try Self.change([], [Self.forward(443)], layout: nil) == .ports([]))
  }

  @Test func anotherSetTakesAllConnectionsAlong() throws {
    let old = try Self.spec([]).table
    #expect(StaleFlows(from: old, to: try Self.spec([], layout: (4, 8, 66)).table) == .all)
    #expect(StaleFlows(from: old, to: try Self.spec([], filtering: .endpointIndependent).table) == .ports([]))
    let damaged = Table(
      name: old.name, comment: old.comment, counters: old.counters, timeouts: old.timeouts,
      sets: old.sets.map {
        var set = $0
        set.elements = [:]
        return set
      }, chains: old.chains)
    #expect(StaleFlows(from: damaged, to: old) == .ports([]))
  }

  @Test func changedForwardsAreChangedInPlace() throws {
    let changes = plan(from: try Self.spec([]).table, to: try Self.spec([Self.forward(5140)]).table)
    #expect(!changes.isEmpty)
    #expect(
      !changes.contains {
        if case .replaceTable = $0 { true } else { false }
      })
  }

  @Test func theMapOfOpenPortsIsWorthNothingToAnotherAddress() throws {
    func table(_ address: String, _ psid: UInt16, _ forwards: [PortForward] = []) throws -> Table {
      try Self.spec(forwards, address: address, layout: (4, 8, psid), filtering: .endpointIndependent).table
    }
    func isReplaced(_ new: Table) throws -> Bool {
      plan(from: try table("133.209.13.2", 65), to: new) == [.replaceTable(new)]
    }
    #expect(try isReplaced(table("133.209.13.2", 66)))
    #expect(try isReplaced(table("133.209.13.3", 65)))
    #expect(try !isReplaced(table("133.209.13.2", 65, [Self.forward(5140)])))
  }
}
