// SPDX-License-Identifier: GPL-3.0-or-later
//
// The IPv6 side of the table: who may send into the softwire, and what the kernel may say about it.

import NFTables
import PortSetNAT
import RouterKit
import TestSupport
import Testing

@Suite struct OuterPacketTests {
  /// Sends to the CE address from a namespace with everybody else's addresses and from here; then says things to the
  /// relay. Prints what arrived and what was refused.
  static let script = """
    import ctypes, os, select, socket, struct, subprocess, sys
    CE, RELAY, STRANGER = "2001:db8:1::1", "2001:db8:2::1", "2001:db8:3::1"
    def sh(script): subprocess.run(["sh", "-ec", script], check=True)
    def send(source, size):
        with socket.socket(socket.AF_INET6, socket.SOCK_RAW, 4) as outside:
            outside.bind((source, 0))
            outside.sendto(bytes(size), (CE, 0))
    (away, ready), (go, start) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        ctypes.CDLL(None).unshare(0x40000000)
        os.write(ready, b"x")
        os.read(go, 1)
        sh(f"ip link set isp0 up; for a in {RELAY} {STRANGER}; do ip addr add $a/128 dev isp0 nodad; done; "
           f"ip route add {CE}/128 dev isp0")
        os.write(ready, b"x")
        while command := os.read(go, 1):
            send(RELAY if command in b"rR" else STRANGER, 100 if command in b"rs" else 3000)
        os._exit(0)
    try:
        os.read(away, 1)
        sh(f"ip link set lo up; ip link add wan0 type veth peer name isp0 netns {child}; ip link set wan0 up; "
           f"ip addr add {CE}/128 dev wan0 nodad; ip route add {RELAY}/128 dev wan0; ip route add {STRANGER}/128 dev wan0")
        os.write(start, b"x")
        os.read(away, 1)
        inside = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 4)
        inside.bind((CE, 0))
        for name, action in (
                ("relay", lambda: os.write(start, b"r")), ("relay", lambda: os.write(start, b"R")),
                ("stranger", lambda: os.write(start, b"s")), ("stranger", lambda: os.write(start, b"S")),
                ("ourselves", lambda: send(CE, 100))):
            action()
            print(name, len(inside.recv(4000)) if select.select([inside], [], [], 0.3)[0] else "nothing")
        for kind, code, inner in ((1, 4, 4), (4, 1, 4), (1, 4, 17), (1, 3, 4)):
            with socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58) as voice:
                voice.bind((CE, 0))
                try:
                    voice.sendto(struct.pack("!BBHI", kind, code, 0, 0) + bytes(6) + bytes([inner]) + bytes(41), (RELAY, 0))
                    print(kind, code, inner, "said")
                except PermissionError:
                    print(kind, code, inner, "dropped")
    finally:
        os.kill(child, 9)
    """

  static func run(kind: NATSpec.Kind, mesh: Bool) throws -> (output: [String], counted: UInt64?) {
    try inNetworkNamespace {
      let spec = try NATSpec(
        devices: ["softwire0"], localAddress: IPv6Address("2001:db8:1::1"), relays: [IPv6Address("2001:db8:2::1")],
        admitsMesh: mesh, kind: kind)
      let socket = try NFTablesSocket()
      try socket.apply(plan(from: nil, to: spec.table))
      let output = try shell("python3 - <<'END'\n\(script)\nEND")
      return (
        output.split(separator: "\n").map(String.init),
        try socket.counters(table: "routerd")[DropReason.wrongOuterSource.rawValue]?.packets
      )
    }
  }

  static let relaysOnly = ["relay 100", "relay 3000", "stranger nothing", "stranger nothing", "ourselves nothing"]
  static let voices = ["1 4 4 dropped", "4 1 4 dropped", "1 4 17 said", "1 3 4 said"]

  @Test func onlyRelaysMaySend() throws {
    let (output, counted) = try Self.run(kind: .mapE(address: IPv4Address("192.0.2.18"), portSet: nil), mesh: false)
    #expect(output == Self.relaysOnly + Self.voices)
    #expect(counted == 3)
  }

  /// Nothing puts fragments together here, so each of the three counts.
  @Test func onlyTheAFTRMaySend() throws {
    let (output, counted) = try Self.run(kind: .dsLite, mesh: false)
    #expect(output == Self.relaysOnly + Self.voices)
    #expect(counted == 1 + 3 + 1)
  }

  @Test func inAMeshEverybodyButOurselvesMaySend() throws {
    let (output, counted) = try Self.run(kind: .mapE(address: IPv4Address("192.0.2.18"), portSet: nil), mesh: true)
    #expect(
      output == ["relay 100", "relay 3000", "stranger 100", "stranger 3000", "ourselves nothing"] + Self.voices)
    #expect(counted == 1)
  }
}
