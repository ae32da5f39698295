// SPDX-License-Identifier: GPL-3.0-or-later
//
// What is counted as whose use of which port.

import Conntrack
import ControlProtocol
import PortSetNAT
import RouterDaemon
import RouterKit
import Testing

struct PortUsageTests {
  static let address = IPv4Address(133, 209, 13, 2)
  static let server = Flow.End(IPv4Address(198, 51, 100, 1), 443)

  static func spec(_ portSet: PortSet?, forwards: [PortForward] = []) throws -> NATSpec {
    try NATSpec(
      devices: ["softwire0"], localAddress: IPv6Address("2001:db8::1"), relays: [],
      kind: .mapE(address: address, portSet: portSet), forwards: forwards)
  }

  static func host(_ number: UInt8, _ port: UInt16) -> Flow.End {
    Flow.End(IPv4Address(192, 168, 1, number), port)
  }

  /// A connection from a host to a server, as connection tracking has it.
  static func out(_ host: Flow.End, to server: Flow.End = server, through port: UInt16, _ number: UInt8 = 6) -> Flow {
    Flow(
      protocolNumber: number, source: host, destination: server, answerSource: server,
      answerDestination: Flow.End(address, port))
  }

  static func usage(_ spec: NATSpec, _ flows: [Flow]) throws -> PortsReport {
    var usage = try #require(PortUsage(spec))
    for flow in flows { usage.add(flow) }
    return usage.report
  }

  /// 240 ports, the first block 5136–5151, private ports from 5152.
  static let biglobe = PortSet(psidOffset: 4, psidLength: 8, psid: 65)

  @Test func portsAreReal() throws {
    let report = try Self.usage(
      Self.spec(Self.biglobe),
      [
        Self.out(Self.host(10, 40000), through: 5152), Self.out(Self.host(10, 40001), through: 5153),
        Self.out(Self.host(11, 40000), to: Flow.End(IPv4Address(198, 51, 100, 2), 443), through: 5152),
        Self.out(Self.host(11, 5000), to: Flow.End(IPv4Address(198, 51, 100, 2), 53), through: 5168, 17),
        Self.out(Flow.End(Self.address, 5170), through: 5170, 17),
        Self.out(Self.host(10, 77), to: Flow.End(IPv4Address(198, 51, 100, 1), 77), through: 5391, 1),
      ])
    #expect(report.address == "133.209.13.2" && report.portCount == 240 && report.choosable == 240)
    #expect(report.portRanges.count == 15 && report.portRanges[0] == [5136, 5151])
    #expect(report.protocols["tcp"] == .init(ports: 2, connections: 3, ranges: [[5136, 5137]]))
    // The 17th port is the first of the second block.
    #expect(report.protocols["udp"] == .init(ports: 2, connections: 2, ranges: [[9232, 9232], [9234, 9234]]))
    #expect(report.protocols["icmp"] == .init(ports: 1, connections: 1, ranges: [[62495, 62495]]))
    #expect(
      report.destinations.map { "\($0.protocol) \($0.address) \($0.port) \($0.ports)" } == [
        "tcp 198.51.100.1 443 2", "icmp 198.51.100.1 0 1", "udp 198.51.100.1 443 1", "udp 198.51.100.2 53 1",
        "tcp 198.51.100.2 443 1",
      ])
    #expect(
      report.hosts.map { "\($0.address) \($0.ports) \($0.connections)" } == [
        "192.168.1.10 3 3", "192.168.1.11 2 2", "133.209.13.2 1 1",
      ])
  }

  @Test func forwardsAreCountedByTheirOwnPort() throws {
    let forwards = [
      PortForward([.tcp, .udp], external: 5140, to: IPv4Address(192, 168, 1, 10), port: 80),
      PortForward([.tcp], external: 5141, to: IPv4Address(192, 168, 1, 11), port: 81),
    ]
    func come(_ port: UInt16, to host: Flow.End, _ number: UInt8 = 6, from source: Flow.End = Self.server) -> Flow {
      Flow(
        protocolNumber: number, source: source, destination: Flow.End(Self.address, port), answerSource: host,
        answerDestination: source == Self.server ? source : Self.host(1, 1024))
    }
    let report = try Self.usage(
      Self.spec(Self.biglobe, forwards: forwards),
      [
        come(5140, to: Self.host(10, 80)), come(5140, to: Self.host(10, 80), 17),
        come(5140, to: Self.host(10, 80), from: Self.host(12, 9)),
        // What took the place of 5140 in the range.
        Self.out(Self.host(12, 1), through: 5156),
      ])
    #expect(report.choosable == 238)
    #expect(
      report.forwards.map { "\($0.protocol) \($0.external) \($0.internal) \($0.connections)" } == [
        "tcp 5140 192.168.1.10:80 1", "udp 5140 192.168.1.10:80 1", "tcp 5141 192.168.1.11:81 0",
      ])
    #expect(report.protocols["tcp"]?.ranges == [[5140, 5140], [62495, 62495]])
    #expect(report.hosts.map(\.address) == ["192.168.1.10", "192.168.1.12"])
  }

  @Test func otherConnectionsDoNotCount() throws {
    let other = Flow.End(IPv4Address(203, 0, 113, 9), 5152)
    let report = try Self.usage(
      Self.spec(Self.biglobe),
      [
        // Through another uplink; between two hosts; to the router without translation; a port that is none.
        Flow(
          protocolNumber: 6, source: Self.host(10, 1), destination: Self.server, answerSource: Self.server,
          answerDestination: other),
        Flow(
          protocolNumber: 6, source: Self.host(10, 1), destination: Self.host(11, 2),
          answerSource: Self.host(11, 2), answerDestination: Self.host(10, 1)),
        Flow(
          protocolNumber: 1, source: Self.server, destination: Flow.End(Self.address, 5152),
          answerSource: Flow.End(Self.address, 5152), answerDestination: Self.server),
        Self.out(Self.host(10, 1), through: 80),
      ])
    #expect(report.protocols.values.allSatisfy { $0.ports == 0 && $0.connections == 0 })
    #expect(report.hosts.isEmpty)
  }

  @Test func theListsAreShortAndTheOrderIsSettled() throws {
    var flows: [Flow] = []
    for number: UInt32 in 0..<3000 {
      let server = Flow.End(IPv4Address(bits: 0xc633_6400 + number / 2), 1)
      let port = UInt16(5152 + number % 240)
      flows.append(Self.out(Self.host(UInt8(number % 200), 1), to: server, through: port, 17))
    }
    let report = try Self.usage(Self.spec(Self.biglobe), flows)
    #expect(report.destinations.map(\.address) == (0..<10).map { "198.51.100.\($0)" })
    #expect(report.destinations.allSatisfy { $0.ports == 2 })
    #expect(report.hosts.count == 10)
    #expect(report == (try Self.usage(Self.spec(Self.biglobe), flows.reversed())))
  }

  @Test func aWholeAddressListsNoPorts() throws {
    let report = try Self.usage(Self.spec(nil), [Self.out(Self.host(10, 40000), through: 40000)])
    #expect(report.portCount == 65536 && report.protocols["tcp"] == .init(ports: 1, connections: 1, ranges: nil))
  }

  @Test func withDSLiteThereIsNothingToCount() throws {
    let spec = try NATSpec(
      devices: ["softwire0"], localAddress: IPv6Address("2001:db8::1"), relays: [], kind: .dsLite)
    #expect(PortUsage(spec) == nil)
  }
}
