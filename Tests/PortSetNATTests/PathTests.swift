// SPDX-License-Identifier: GPL-3.0-or-later
//
// Real packets through the table: Tests/NATPath/nat_path.py tells how.

import NFTables
import PortSetNAT
import RouterKit
import TestSupport
import Testing

@Suite struct PathTests {
  struct Line: CustomTestStringConvertible {
    let address: String
    let offset: Int
    let length: Int
    let psid: UInt16
    let offloads: String
    /// When somebody else's NAT for everything appears, as Docker makes one.
    var masquerade: Masquerade = .never
    /// Two ports that are forwarded, to the lan and to the router.
    var forwards: [UInt16] = []

    enum Masquerade {
      case never, before, after
    }

    var testDescription: String { "\(address), \(offset)/\(length)/\(psid), offloads \(offloads)" }
  }

  @Test(arguments: [
    Line(address: "133.209.13.2", offset: 4, length: 8, psid: 65, offloads: "off", masquerade: .after),
    Line(address: "133.209.13.2", offset: 4, length: 8, psid: 65, offloads: "on", masquerade: .before),
    Line(address: "153.240.1.1", offset: 6, length: 6, psid: 7, offloads: "off", forwards: [1140, 1144]),
    // No gap for the private range, which overlaps the set.
    Line(address: "192.0.2.18", offset: 6, length: 5, psid: 3, offloads: "off", forwards: [64619, 64630]),
    // One block, and the whole address: nothing to remap.
    Line(address: "192.0.2.18", offset: 0, length: 6, psid: 52, offloads: "off"),
    Line(address: "192.0.2.18", offset: 0, length: 6, psid: 52, offloads: "off", forwards: [53260, 54271]),
    Line(address: "192.0.2.18", offset: 0, length: 0, psid: 0, offloads: "off", forwards: [443, 444]),
  ])
  func packets(line: Line) throws {
    try inNetworkNamespace {
      let spec = try NATSpec(
        devices: ["softwire0"], localAddress: IPv6Address(KernelTests.ce),
        relays: [IPv6Address("2001:260:700:1::1:275")],
        kind: .mapE(
          address: IPv4Address(line.address),
          portSet: line.length == 0
            ? nil : PortSet(psidOffset: line.offset, psidLength: line.length, psid: line.psid)),
        forwards: zip(line.forwards, [IPv4Address(192, 168, 77, 2), IPv4Address(192, 168, 77, 1)]).map {
          PortForward([.tcp, .udp], external: $0, to: $1, port: 8080)
        })
      #expect(spec.problems.isEmpty)
      let masquerade = """
        nft 'add table ip nat; add chain ip nat POSTROUTING { type nat hook postrouting priority srcnat; }
          add rule ip nat POSTROUTING masquerade'
        """
      let socket = try NFTablesSocket()
      if line.masquerade == .before { try shell(masquerade) }
      try socket.apply(plan(from: nil, to: spec.table))
      if line.masquerade == .after { try shell(masquerade) }
      let script = #filePath.split(separator: "/").dropLast(2).joined(separator: "/")
      let output = try shell(
        """
        python3 /\(script)/NATPath/nat_path.py \
          \(line.address) \(line.offset) \(line.length) \(line.psid) \(line.offloads) \
          \(line.forwards.map(String.init).joined(separator: " "))
        """)
      var expected: [String: UInt64] = [:]
      for words in output.split(separator: "\n").map({ $0.split(separator: " ") }) where words.first == "counter" {
        expected[String(words[1])] = UInt64(words[2])
      }
      let counted = try socket.counters(table: "routerd").mapValues(\.packets).filter { $0.value != 0 }
      #expect(counted == expected)
      #expect(expected.count == (line.length == 0 ? 3 : 6), "\(output)")
    }
  }
}
