// SPDX-License-Identifier: GPL-3.0-or-later
//
// The sections of the NAT: [nat], [nat.timeouts] and [[forward]]. Which ports the line has is not known here; a forward
// of another port is refused when the line is.

import PortSetNAT
import RouterCore
import RouterKit

extension TableReader {
  /// Reads `[nat]`.
  mutating func readNAT(into nat: inout Configuration.NATSettings) throws(ConfigurationError) {
    if let name = try string("filtering") {
      guard let filtering = NATSpec.Filtering(rawValue: name) else {
        let names = NATSpec.Filtering.allCases.map { "“\($0.rawValue)”" }.joined(separator: " or ")
        throw error("filtering", "“\(name.prefix(40))” is no way of filtering; it is \(names)")
      }
      nat.filtering = filtering
    }
    var timeouts = nat.timeouts
    try section("timeouts") { reader throws(ConfigurationError) in
      try reader.seconds("tcp_established", &timeouts.tcpEstablished)
      try reader.seconds("tcp_transitory", &timeouts.tcpTransitory)
      try reader.seconds("tcp_time_wait", &timeouts.tcpTimeWait)
      try reader.seconds("udp", &timeouts.udp)
      try reader.seconds("dns", &timeouts.dns)
      try reader.seconds("icmp", &timeouts.icmp)
    }
    nat.timeouts = timeouts
  }

  /// Up to 30 days.
  private mutating func seconds(_ key: String, _ value: inout UInt32) throws(ConfigurationError) {
    if let seconds = try integer(key, in: 1...2_592_000) { value = UInt32(seconds) }
  }

  /// Reads one `[[forward]]`.
  /// - Parameter others: those read before.
  mutating func readForward(besides others: [PortForward]) throws(ConfigurationError) -> PortForward {
    guard let name = try string("protocol") else {
      throw error("protocol", "this is missing; it is “tcp”, “udp” or “tcp+udp”")
    }
    let protocols = name.split(separator: "+", omittingEmptySubsequences: false).map {
      PortForward.TransportProtocol(rawValue: String($0))
    }
    let known = Set(protocols.compactMap(\.self))
    guard known.count == protocols.count else {
      throw error("protocol", "“\(name.prefix(40))” cannot be forwarded; it is “tcp”, “udp” or “tcp+udp”")
    }
    guard let external = try integer("external", in: 1...65535).map({ UInt16($0) }) else {
      throw error("external", "this is missing; it is the port that the world sees, one of the line's")
    }
    guard let text = try string("internal") else {
      throw error("internal", "this is missing; it is like “192.168.1.10:8080”")
    }
    let target = try endpoint("internal", text, port: external)
    for other in others where other.external == external {
      guard let both = other.protocols.intersection(known).min() else { continue }
      throw error("external", "\(both) port \(external) is forwarded already, to \(other.address):\(other.port)")
    }
    return PortForward(known, external: external, to: target.address, port: target.port)
  }

  private func endpoint(
    _ key: String, _ text: String, port: UInt16
  ) throws(ConfigurationError) -> (address: IPv4Address, port: UInt16) {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    let address = try value(key) { () throws(AddressError) in try IPv4Address(parts[0]) }
    switch address.bytes[0] {
    case 127:
      throw error(
        key, "\(address) cannot be reached from outside; for a service of this router give its address on the LAN")
    case 0, 224...255:
      throw error(key, "\(address) is not the address of a host")
    default:
      break
    }
    guard parts.count == 2 else { return (address, port) }
    guard (1...5).contains(parts[1].utf8.count), parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
      let port = UInt16(parts[1]), port > 0
    else {
      throw error(key, "“\(parts[1].prefix(40))” is not a port from 1 to 65535; write it like \(address):8080")
    }
    return (address, port)
  }
}
