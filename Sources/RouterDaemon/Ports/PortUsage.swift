// SPDX-License-Identifier: GPL-3.0-or-later
//
// Who uses which ports, from the kernel's list of connections. It is read once, entry by entry, and only counts are
// kept. Connection tracking has private ports; they become real ones here, so that nobody outside this file sees any.

public import Conntrack
public import ControlProtocol
public import PortSetNAT
import RouterKit

/// Counts connections of the shared address.
public struct PortUsage {
  /// The most entries of each list in a report.
  private static let listLimit = 10
  /// Ports are only listed for sets up to this size; a reply has a limit.
  private static let rangesLimit = 4096

  private let address: IPv4Address
  private let portSet: PortSet?
  private let forwards: [PortForward]
  private let choosable: Int
  /// The real port by private port; 0: none.
  private var real: [UInt16]

  private var used: [UInt8: Use] = [:]
  private var destinations: [Destination: Int] = [:]
  private var hosts: [IPv4Address: Int] = [:]
  private var hostPorts: Set<HostPort> = []
  private var forwarded: [Forwarded: Int] = [:]

  private struct Use {
    var isUsed = [Bool](repeating: false, count: 1 << 16)
    var connections = 0
  }

  private struct Destination: Hashable {
    let protocolNumber: UInt8
    let end: Flow.End

    var rank: UInt64 { UInt64(end.address.bits) << 24 | UInt64(end.port) << 8 | UInt64(protocolNumber) }

    // One number is hashed much faster than three, and this is done for every connection.
    func hash(into hasher: inout Hasher) {
      hasher.combine(rank)
    }
  }

  private struct HostPort: Hashable {
    let host: IPv4Address
    let protocolNumber: UInt8
    let port: UInt16

    func hash(into hasher: inout Hasher) {
      hasher.combine(UInt64(host.bits) << 24 | UInt64(port) << 8 | UInt64(protocolNumber))
    }
  }

  private struct Forwarded: Hashable {
    let protocolNumber: UInt8
    let port: UInt16
  }

  /// Starts to count; nothing if this router has no ports to count (DS-Lite).
  public init?(_ spec: NATSpec) {
    guard case .mapE(let address, let portSet) = spec.kind else { return nil }
    self.address = address
    self.portSet = portSet
    forwards = spec.forwards
    if let portSet {
      let range = PrivateRange(for: portSet, reserving: forwards.map(\.external))
      choosable = range?.ports.count ?? 0
      real = [UInt16](repeating: 0, count: 1 << 16)
      for slot in range?.slots ?? [] { real[Int(slot.private)] = slot.real }
    } else {
      choosable = 1 << 16
      real = Array(0...UInt16.max)
    }
  }

  /// Counts one connection, if it is one of the shared address with the world.
  public mutating func add(_ flow: Flow) {
    // Those that stay on this side are translated on both: from the lan to a forwarded port.
    guard !(flow.isSourceTranslated && flow.isDestinationTranslated) else { return }
    if flow.answerDestination.address == address {
      count(flow, port: flow.answerDestination.port, host: flow.source.address)
      let port = flow.protocolNumber == 1 ? 0 : flow.destination.port
      let end = Flow.End(flow.destination.address, port)
      destinations[Destination(protocolNumber: flow.protocolNumber, end: end), default: 0] += 1
    } else if flow.destination.address == address, flow.isDestinationTranslated {
      guard let port = count(flow, port: flow.destination.port, host: flow.answerSource.address) else { return }
      forwarded[Forwarded(protocolNumber: flow.protocolNumber, port: port), default: 0] += 1
    }
  }

  /// - Returns: the real port.
  @discardableResult
  private mutating func count(_ flow: Flow, port: UInt16, host: IPv4Address) -> UInt16? {
    let port = real[Int(port)]
    guard port != 0 else { return nil }
    used[flow.protocolNumber, default: Use()].isUsed[Int(port)] = true
    used[flow.protocolNumber]?.connections += 1
    hosts[host, default: 0] += 1
    hostPorts.insert(HostPort(host: host, protocolNumber: flow.protocolNumber, port: port))
    return port
  }

  /// What was counted.
  public var report: PortsReport {
    let ranges = portSet.map { $0.blocks.map { [Int($0.lowerBound), Int($0.upperBound)] } } ?? [[0, 65535]]
    let count = ranges.reduce(0) { $0 + $1[1] - $1[0] + 1 }
    var protocols: [String: PortsReport.ProtocolUse] = [:]
    for (number, name) in Self.names {
      let use = used[number] ?? Use()
      let ports = use.isUsed.indices.filter { use.isUsed[$0] }
      protocols[name] = PortsReport.ProtocolUse(
        ports: ports.count, connections: use.connections,
        ranges: count > Self.rangesLimit ? nil : Self.ranges(ports))
    }
    var ports: [IPv4Address: Int] = [:]
    for each in hostPorts { ports[each.host, default: 0] += 1 }
    return PortsReport(
      address: address.description, portRanges: ranges, portCount: count, choosable: choosable, protocols: protocols,
      destinations: Self.top(destinations, rank: \.rank).map {
        PortsReport.DestinationUse(
          protocol: Self.names[$0.protocolNumber] ?? "", address: $0.end.address.description, port: Int($0.end.port),
          ports: $1)
      },
      hosts: Self.top(ports) { UInt64($0.bits) }.map {
        PortsReport.HostUse(address: $0.description, ports: $1, connections: hosts[$0] ?? 0)
      },
      forwards: forwards.flatMap { forward in
        forward.protocols.sorted().map {
          PortsReport.ForwardUse(
            protocol: $0.rawValue, external: Int(forward.external), internal: "\(forward.address):\(forward.port)",
            connections: forwarded[Forwarded(protocolNumber: $0.number, port: forward.external)] ?? 0)
        }
      })
  }

  private static let names: [UInt8: String] = [6: "tcp", 17: "udp", 1: "icmp"]

  /// The keys with the largest counts, in order; equal ones in the order of their ranks.
  private static func top<Key: Hashable>(_ counts: [Key: Int], rank: (Key) -> UInt64) -> [(key: Key, count: Int)] {
    // There may be a hundred thousand keys, nearly all of them with the same count: not to be sorted.
    var top: [(key: Key, count: Int)] = []
    for (key, count) in counts {
      func isBehind(_ other: (key: Key, count: Int)) -> Bool {
        (other.count, rank(key)) > (count, rank(other.key))
      }
      if top.count == listLimit, let last = top.last, isBehind(last) { continue }
      top.insert((key, count), at: top.firstIndex { !isBehind($0) } ?? top.endIndex)
      if top.count > listLimit { top.removeLast() }
    }
    return top
  }

  private static func ranges(_ ports: [Int]) -> [[Int]] {
    ports.reduce(into: []) { ranges, port in
      if let last = ranges.last, last[1] + 1 == port {
        ranges[ranges.count - 1][1] = port
      } else {
        ranges.append([port, port])
      }
    }
  }
}

extension PortUsage {
  /// The use of ports at this moment.
  static func report(_ spec: NATSpec) throws -> PortsReport {
    guard let usage = PortUsage(spec) else {
      throw SetupError("with DS-Lite the ports are the AFTR's, which alone knows who uses them")
    }
    let counting = Counting(usage)
    let conntrack = try ConntrackSocket()
    try conntrack.forEachFlow { counting.usage.add($0) }
    return counting.usage.report
  }

  private final class Counting {
    var usage: PortUsage

    init(_ usage: PortUsage) {
      self.usage = usage
    }
  }
}
