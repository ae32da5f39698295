// SPDX-License-Identifier: GPL-3.0-or-later
//
// Only the connections of the one address go.

import Conntrack
import RouterKit
import TestSupport
import Testing

private final class Flows {
  var all: Set<Flow> = []
}

@Suite struct ConntrackSocketTests {
  @Test func onlyConnectionsOfTheAddressAreDeleted() throws {
    try inNetworkNamespace {
      // Connection tracking only exists in a namespace where something asks for it.
      try shell(
        """
        nft 'add table inet t; add chain inet t c { type filter hook output priority 0; }
          add rule inet t c ct state new'
        add() { conntrack -I -u ASSURED -t 100 "$@" 2>/dev/null; }
        for port in 1001 1002 1003; do
          add -p tcp --state ESTABLISHED -s 192.168.1.2 -d 198.51.100.1 --sport $port --dport 80 \\
            -r 198.51.100.1 -q 192.0.2.18 --reply-port-src 80 --reply-port-dst $port
        done
        add -p udp -s 192.0.2.18 -d 198.51.100.1 --sport 53 --dport 53
        add -p icmp -s 192.0.2.18 -d 198.51.100.1 --icmp-type 8 --icmp-code 0 --icmp-id 77
        add -p udp -s 192.168.1.2 -d 198.51.100.1 --sport 53 --dport 53 -r 198.51.100.1 -q 192.0.2.19 \\
          --reply-port-src 53 --reply-port-dst 53
        add -p udp -s 198.51.100.1 -d 192.0.2.18 --sport 1 --dport 2
        add -p tcp --state ESTABLISHED -s 198.51.100.1 -d 192.0.2.18 --sport 9 --dport 1002 \\
          -r 192.168.1.2 -q 198.51.100.1 --reply-port-src 80 --reply-port-dst 9
        add -p udp -s 2001:db8::1 -d 2001:db8::2 --sport 1 --dport 2
        """)
      func count(_ family: String) throws -> Int {
        try shell("conntrack -L -f \(family) 2>/dev/null").split(separator: "\n").count
      }
      #expect(try count("ipv4") == 8)
      let socket = try ConntrackSocket()
      let flows = Flows()
      try socket.forEachFlow { flows.all.insert($0) }
      #expect(flows.all.count == 8)
      let server = try IPv4Address("198.51.100.1")
      let ours = try IPv4Address("192.0.2.18")
      let host = try IPv4Address("192.168.1.2")
      #expect(
        flows.all.contains(
          Flow(
            protocolNumber: 6, source: .init(host, 1001), destination: .init(server, 80),
            answerSource: .init(server, 80), answerDestination: .init(ours, 1001))))
      #expect(
        flows.all.contains(
          Flow(
            protocolNumber: 6, source: .init(server, 9), destination: .init(ours, 1002),
            answerSource: .init(host, 80), answerDestination: .init(server, 9))))
      #expect(
        flows.all.contains(
          Flow(
            protocolNumber: 1, source: .init(ours, 77), destination: .init(server, 0),
            answerSource: .init(server, 0), answerDestination: .init(ours, 77))))
      let address = try IPv4Address("192.0.2.18")
      // A translated connection, a forwarded one, and a UDP packet to the address.
      #expect(try socket.deleteEntries(of: address, ports: [1002, 2, 77]) == 3)
      #expect(try count("ipv4") == 5)
      #expect(try socket.deleteEntries(of: address) == 4)
      #expect(try count("ipv4") == 1)
      #expect(try count("ipv6") == 1)
      #expect(try socket.deleteEntries(of: address) == 0)
    }
  }
}
