// SPDX-License-Identifier: GPL-3.0-or-later
//
// The table in a kernel: it reads back as it was written, an unchanged one is left alone, a damaged one is repaired.

import NFTables
import PortSetNAT
import RouterKit
import TestSupport
import Testing

@Suite struct KernelTests {
  static let ce = "2404:7a82:4d02:4100:85:d10d:200:4100"

  static func spec(
    _ address: String = "133.209.13.2", layout: (Int, Int, UInt16)? = (4, 8, 65), mesh: Bool = false,
    relays: [String] = ["2001:260:700:1::1:275", "2001:260:700:1::1:276"], probed: Bool = false
  ) throws -> NATSpec {
    try NATSpec(
      devices: ["softwire0", "softwire1"], localAddress: IPv6Address(ce), relays: relays.map { try IPv6Address($0) },
      admitsMesh: mesh,
      kind: .mapE(
        address: IPv4Address(address),
        portSet: layout.flatMap { PortSet(psidOffset: $0.0, psidLength: $0.1, psid: $0.2) }), isProbed: probed)
  }

  static func dsLite() throws -> NATSpec {
    try NATSpec(
      devices: ["softwire0"], localAddress: IPv6Address(ce), relays: [IPv6Address("2404:8e00::feed:100")],
      kind: .dsLite)
  }

  static func allSpecs() throws -> [(String, NATSpec)] {
    [
      ("BIGLOBE", try spec()), ("OCN", try spec("153.240.1.1", layout: (6, 6, 7))),
      ("whole address", try spec(layout: nil)),
      ("one block", try spec("192.0.2.18", layout: (0, 8, 52))), ("no gap", try spec("192.0.2.18", layout: (6, 4, 3))),
      ("no port", try spec("192.0.2.18", layout: (0, 16, 0))), ("mesh", try spec(mesh: true)),
      ("probed", try spec(probed: true)), ("probed, whole address", try spec(layout: nil, probed: true)),
      ("no relay", try spec(relays: [])), ("DS-Lite", try dsLite()),
      ("16128 ports", try spec("192.0.2.18", layout: (6, 2, 1))),
      ("forwards", try ForwardTests.spec([ForwardTests.forward(5140), ForwardTests.forward(5141, 11)])),
      (
        "forwards in one block",
        try ForwardTests.spec([ForwardTests.forward(13312)], layout: (0, 8, 52), filtering: .endpointIndependent)
      ),
      ("everybody", try ForwardTests.spec([ForwardTests.forward(5140)], filtering: .endpointIndependent)),
      ("everybody, whole address", try ForwardTests.spec([], layout: nil, filtering: .endpointIndependent)),
    ]
  }

  @Test func probesHaveAnIdentifierThatNoPingGets() throws {
    #expect(try Self.spec(probed: true).probeIdentifier == 62495)
    #expect(try Self.spec(layout: nil, probed: true).probeIdentifier == .max)
    // A forward of that very port moves it out of the range, and the probes to the next.
    let forwarding = try ForwardTests.spec([ForwardTests.forward(62495)])
    #expect(forwarding.probeIdentifier == 62494)
  }

  @Test func everyKindOfTableReadsBackAsWritten() throws {
    for (name, spec) in try Self.allSpecs() {
      try inNetworkNamespace {
        let socket = try NFTablesSocket()
        #expect(try socket.observe(table: "routerd") == nil)
        try socket.apply(plan(from: nil, to: spec.table))
        let observed = try socket.observe(table: "routerd")
        #expect(observed == spec.table, "\(name)")
        // Nothing to do means that nothing is done.
        let generation = try socket.generation()
        try socket.apply(plan(from: observed, to: spec.table))
        #expect(try socket.generation() == generation, "\(name)")
        // Others can read it.
        #expect(try shell("nft -s -j list ruleset && nft list ruleset").contains("table inet routerd"), "\(name)")
      }
    }
  }

  @Test func everyChangeIsOneTransaction() throws {
    let steps = try [
      Self.spec(), Self.spec("133.209.13.3"), Self.spec("133.209.13.3", layout: (4, 8, 66)),
      Self.spec(relays: ["2001:db8::1"]),
      Self.spec(mesh: true), Self.dsLite(), Self.spec("153.240.1.1", layout: (6, 6, 7)), Self.spec(layout: nil),
      Self.spec("192.0.2.18", layout: (6, 4, 1)), Self.spec("192.0.2.18", layout: (6, 4, 2)), Self.spec(),
    ]
    try inNetworkNamespace {
      let socket = try NFTablesSocket()
      for spec in steps {
        let before = try socket.generation()
        try socket.apply(plan(from: socket.observe(table: "routerd"), to: spec.table))
        #expect(try socket.observe(table: "routerd") == spec.table)
        #expect(try socket.generation() == before + 1)
      }
    }
  }

  @Test func changesInPlaceKeepTheCounters() throws {
    try inNetworkNamespace {
      let socket = try NFTablesSocket()
      try socket.apply(plan(from: nil, to: Self.spec().table))
      try shell(
        """
        ip link set lo up; ip addr add \(Self.ce)/128 dev lo; ip addr add 2001:db8::1/128 dev lo
        """)
      let changes = try plan(
        from: socket.observe(table: "routerd"),
        to: Self.spec("133.209.13.9", layout: (4, 8, 9), relays: ["2001:db8::2"]).table)
      #expect(
        !changes.contains {
          if case .replaceTable = $0 { true } else { false }
        })
      // One packet of protocol 4 from a stranger, which the outer guard counts.
      try shell(
        """
        python3 -c 'import socket
        s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 4)
        s.bind(("2001:db8::1", 0))
        s.sendto(bytes([0x45]) + bytes(19), ("\(Self.ce)", 0))'
        """)
      #expect(try socket.counters(table: "routerd")["wrong_outer_source"]?.packets == 1)
      try socket.apply(changes)
      #expect(try socket.counters(table: "routerd")["wrong_outer_source"]?.packets == 1)
    }
  }

  @Test(arguments: [
    "delete element inet routerd real_to_private { 5136 }", "add element inet routerd relays { 2001:db8::bad }",
    "delete element inet routerd softwires { \"softwire0\" }", "flush chain inet routerd leaving",
    "flush ruleset", "insert rule inet routerd unsolicited accept", "add chain inet routerd stranger",
    "add rule inet routerd dstnat iifname eth0 tcp dport 80 dnat ip to 192.0.2.1",
    "add counter inet routerd another", "add set inet routerd another { type ipv4_addr; }",
    "delete element inet routerd forwarded_tcp { 5140 }", "flush chain inet routerd timeouts",
    "add element inet routerd forwarded_udp { 5150 : 192.0.2.1 . 1 }",
    "add ct timeout inet routerd other { protocol udp; policy = { unreplied : 1 }; }",
    "flush map inet routerd private_to_real", "add table inet routerd { flags dormant; }",
    "add chain inet routerd leaving2 { type filter hook postrouting priority 301; policy drop; }",
    "chain inet routerd outbound { type filter hook postrouting priority 300; policy drop; }",
  ])
  func damageIsRepaired(damage: String) throws {
    try inNetworkNamespace {
      let socket = try NFTablesSocket()
      let desired = try NATSpec(
        devices: ["softwire0", "softwire1"], localAddress: IPv6Address(Self.ce), relays: [IPv6Address("2001:db8::1")],
        kind: Self.spec().kind, forwards: [ForwardTests.forward(5140)]
      ).table
      try socket.apply(plan(from: nil, to: desired))
      try shell("nft '\(damage)'")
      let observed = try socket.observe(table: "routerd")
      #expect(observed != desired)
      try socket.apply(plan(from: observed, to: desired))
      #expect(try socket.observe(table: "routerd") == desired)
    }
  }

  @Test func tablesOfOthersAreLeftAlone() throws {
    try inNetworkNamespace {
      let foreign = """
        table inet other {
          map numbers { type inet_service : inet_service
            elements = { 1 : 2 } }
          counter c { }
          chain postrouting { type nat hook postrouting priority srcnat; policy accept;
            masquerade
          }
        }
        table ip routerd {
          chain c { type filter hook input priority 0; policy accept;
            counter drop
          }
        }
        table ip6 routerd {
          set s { type ipv6_addr
            elements = { ::1 } }
        }
        """
      try shell("nft -f - <<'END'\n\(foreign)\nEND")
      let before = try shell("nft list ruleset")
      let socket = try NFTablesSocket()
      #expect(try socket.observe(table: "routerd") == nil)
      try socket.apply(plan(from: nil, to: Self.spec().table))
      #expect(try socket.observe(table: "routerd") == Self.spec().table)
      try socket.apply(plan(from: socket.observe(table: "routerd"), to: Self.dsLite().table))
      try socket.delete(table: "routerd")
      #expect(try shell("nft list ruleset") == before)
      // Deleting once more changes nothing.
      let generation = try socket.generation()
      try socket.delete(table: "routerd")
      #expect(try socket.generation() == generation)
      #expect(try socket.counters(table: "routerd").isEmpty)
    }
  }
}
