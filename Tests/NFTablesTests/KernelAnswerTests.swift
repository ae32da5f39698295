// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the kernel says, and what becomes of it.

import NFTables
import TestSupport
import Testing

@Suite struct KernelAnswerTests {
  static func table(_ rules: [Rule], sets: [NamedSet] = []) -> Table {
    Table(
      name: "t", comment: "a table", counters: ["c"],
      timeouts: [
        "tcp": .tcp(.init(established: 5, transitory: 4, timeWait: 3, closed: 2, unacknowledged: 1)),
        "udp": .udp(answered: 9, unanswered: 8), "icmp": .icmp(7),
      ], sets: sets,
      chains: [Chain(name: "entry", base: BaseChain(hook: .input, priority: 7, dropsByDefault: true), rules: rules)])
  }

  /// Every expression once.
  static let everything: [Expression] = [
    .meta(.inputName, into: .r1), .compare(.r1, .notEqual, Array("eth0".utf8) + Array(repeating: 0, count: 12)),
    .meta(.networkProtocol, into: .r2), .compare(.r2, .equal, [2]),
    .meta(.transportProtocol, into: .r1), .compare(.r1, .equal, [6]),
    .payload(Payload(.network, offset: 12, length: 4), into: .r4), .compare(.r4, .greaterOrEqual, [192, 0, 2, 0]),
    .payload(Payload(.transport, offset: 2, length: 2), into: .r1), .lookup(.r1, set: "ports", isInverted: true),
    .map(.r1, map: "map", into: .r3),
    .writePayload(Payload(.transport, offset: 2, length: 2), from: .r3, checksum: .transport),
    .writePayload(Payload(.transport, offset: 4, length: 2), from: .r3, checksum: .internet(offset: 16)),
    .writePayload(Payload(.transport, offset: 4, length: 2), from: .r3, checksum: .none),
    .connection(.state, into: .r1), .bitwise(.r1, into: .r2, mask: [1, 2, 3, 4], xor: [0, 0, 0, 1]),
    .connection(.status, into: .r1), .connection(.direction, into: .r1), .immediate([1, 2], into: .r2),
    .hasExtension(ExtensionHeader(.ipv6, number: 44, offset: 0, length: 1), into: .r1),
    .connectionEnd(.ipv4Source, .original, into: .r2), .connectionEnd(.sourcePort, .reply, into: .r2Second),
    .connectionEnd(.ipv4Destination, .original, into: .r1Second),
    .connectionEnd(.sourcePort, .original, into: .r1Third),
    .update(set: "owners", key: .r1, data: nil), .update(set: "cone", key: .r1, data: .r2), .timeout("tcp"),
    .counter("c"), .verdict(.return),
  ]

  @Test func everyExpressionReadsBackAsWritten() throws {
    try inNetworkNamespace {
      let sets = [
        NamedSet(name: "ports", of: .port, [[0, 80]]),
        NamedSet(name: "map", from: .port, to: .port, [[0, 80]: [0, 81]]),
        NamedSet(name: "addresses", from: .ipv4Address, to: .icmpType, [[192, 0, 2, 1]: [3]]),
        NamedSet(name: "empty", of: .ipProtocol, []),
        NamedSet(name: "forwards", from: .port, to: .ipv4Endpoint, [[0, 80]: [192, 0, 2, 1, 0, 81, 0, 0]]),
        NamedSet(name: "owners", from: .portAndIPv4Endpoint, DynamicSet(timeout: 300, comment: "who was first")),
        NamedSet(name: "cone", from: .port, to: .ipv4Endpoint, DynamicSet(timeout: 300, comment: "where to")),
      ]
      let table = Self.table([Rule(Self.everything, comment: "all"), Rule([.verdict(.accept)]), Rule([])], sets: sets)
      let socket = try NFTablesSocket()
      try socket.apply(plan(from: nil, to: table))
      #expect(try socket.observe(table: "t") == table)
      #expect(try socket.counters(table: "t").keys.sorted() == ["c"])
      let listing = try shell("nft list table inet t")
      for line in ["type inet_service : ipv4_addr . inet_service", "80 : 192.0.2.1 . 81", "comment \"where to\""] {
        #expect(listing.contains(line), "\(listing)")
      }
    }
  }

  @Test func whatRulesAddIsNoDifference() throws {
    try inNetworkNamespace {
      let cone = NamedSet(name: "cone", from: .port, to: .ipv4Endpoint, DynamicSet(timeout: 300, comment: "x"))
      let table = Self.table([Rule([.verdict(.accept)])], sets: [cone])
      let socket = try NFTablesSocket()
      try socket.apply(plan(from: nil, to: table))
      try shell("nft 'add element inet t cone { 7 : 192.0.2.1 . 8 }'")
      let observed = try socket.observe(table: "t")
      #expect(observed == table)
      #expect(plan(from: observed, to: table).isEmpty)
      // Other rules are filled in without losing it.
      try socket.apply(plan(from: observed, to: Self.table([Rule([.verdict(.drop)])], sets: [cone])))
      #expect(try shell("nft list map inet t cone").contains("192.0.2.1 . 8"))
    }
  }

  @Test func aRefusalNamesTheObjectAndChangesNothing() throws {
    try inNetworkNamespace {
      let socket = try NFTablesSocket()
      let good = Self.table([Rule([.verdict(.accept)])])
      try socket.apply(plan(from: nil, to: good))
      let generation = try socket.generation()
      let bad = Self.table([
        Rule([.meta(.inputName, into: .r1), .lookup(.r1, set: "nowhere", isInverted: false)], comment: "bad")
      ])
      let error = try #require(throws: NFTablesError.self) { try socket.apply(plan(from: good, to: bad)) }
      #expect(
        "\(error)" == "adding rule “bad” to chain entry of table inet t failed: No such file or directory")
      #expect(try socket.observe(table: "t") == good)
      #expect(try socket.generation() == generation)
      let missing = try #require(throws: NFTablesError.self) {
        try socket.apply([.addElements(table: "t", NamedSet(name: "nowhere", of: .port, [[0, 1]]))])
      }
      #expect("\(missing)".hasPrefix("adding elements to set nowhere of table inet t failed: No such file"))
      // The socket is as good as before.
      try socket.apply([.replaceTable(good)])
    }
  }

  @Test func whatRouterdDoesNotKnowIsSeenButNeverWritten() throws {
    try inNetworkNamespace {
      let socket = try NFTablesSocket()
      let table = Self.table([Rule([.verdict(.accept)])])
      try socket.apply(plan(from: nil, to: table))
      try shell("nft add rule inet t entry limit rate 1/second log accept")
      let observed = try #require(try socket.observe(table: "t"))
      #expect(observed.chains[0].rules[1].expressions.prefix(2) == [.unsupported("limit"), .unsupported("log")])
      let error = try #require(throws: NFTablesError.self) { try socket.apply([.replaceTable(observed)]) }
      #expect("\(error)".contains("routerd does not know"))
      let long = Self.table([Rule([.verdict(.accept)], comment: String(repeating: "x", count: 127))])
      #expect(throws: NFTablesError.self) { try socket.apply([.replaceTable(long)]) }
      #expect(try socket.observe(table: "t") == observed)
    }
  }

  @Test func aTableIsReadAsAWholeWhileOthersWrite() throws {
    try inNetworkNamespace {
      let socket = try NFTablesSocket()
      let tables = [80, 81].map { port in
        Self.table(
          [Rule([.immediate([0, port], into: .r1)])],
          sets: [NamedSet(name: "ports", of: .port, (0..<200).map { [port, $0] })])
      }
      try socket.apply(plan(from: nil, to: tables[0]))
      // Somebody else's changes, in the background for about a second.
      try shell(
        """
        (for i in $(seq 60); do nft add table ip other; nft delete table ip other; done) >/dev/null 2>&1 &
        """)
      for round in 1...60 {
        let desired = tables[round % 2]
        try socket.apply(plan(from: socket.observe(table: "t"), to: desired))
        #expect(try socket.observe(table: "t") == desired)
      }
    }
  }
}
