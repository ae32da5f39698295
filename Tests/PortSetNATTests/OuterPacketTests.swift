// SPDX-License-Identifier: GPL-3.0-or-later
//
// The IPv6 side of the table: who may send into the softwire, and what the kernel may say about it.

import NFTables
import PortSetNAT
import RouterKit
import TestSupport
import Testing

@Suite struct OuterPacketTests {
  /// Sends packets of different sizes to the CE address from a namespace with everybody else's addresses, and one from
  /// here; then says things to the relay. Prints the sizes that arrived, and what was refused.
  static let script = """
    import ctypes, os, select, socket, struct, subprocess, time
    CE, RELAY, STRANGER = "2001:db8:1::1", "2001:db8:2::1", "2001:db8:3::1"
    PACKETS = {b"w": (RELAY, 50), b"r": (RELAY, 100), b"R": (RELAY, 3000), b"s": (STRANGER, 101),
               b"S": (STRANGER, 3001), b"e": (RELAY, 60)}
    def fragment():
        # The rest of a packet with options before its IPv4 part: nothing here says that it is an IPv4 packet.
        header = struct.pack("!IHBB", 6 << 28, 16, 44, 64)
        with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW) as outside:
            outside.sendto(header + socket.inet_pton(socket.AF_INET6, STRANGER) + socket.inet_pton(socket.AF_INET6, CE)
                           + struct.pack("!BBHI", 60, 0, 100 << 3, 1) + bytes(8), (CE, 0))
    def sh(script): subprocess.run(["sh", "-ec", script], check=True)
    def send(source, size):
        with socket.socket(socket.AF_INET6, socket.SOCK_RAW, 4) as outside:
            outside.bind((source, 0))
            # With our own address inside, without which nothing leaves here.
            outside.sendto(bytes(12) + socket.inet_aton("192.0.2.18") + bytes(size - 16), (CE, 0))
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
            fragment() if command == b"f" else send(*PACKETS[command])
        os._exit(0)
    try:
        os.read(away, 1)
        sh(f"ip link set lo up; ip link add wan0 type veth peer name isp0 netns {child}; ip link set wan0 up; "
           f"ip addr add {CE}/128 dev wan0 nodad; for a in {RELAY} {STRANGER}; do ip route add $a/128 dev wan0; done")
        os.write(start, b"x")
        os.read(away, 1)
        inside = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 4)
        inside.bind((CE, 0))
        def arrived(timeout):
            return len(inside.recv(4000)) if select.select([inside], [], [], timeout)[0] else 0
        # Neighbours have to find each other first, from each address.
        for _ in range(50):
            os.write(start, b"w")
            if arrived(0.2): break
        time.sleep(0.2)
        while arrived(0): pass
        send(CE, 102)
        os.write(start, b"rRsSfe")
        sizes = []
        while not sizes or sizes[-1] not in (0, 60):
            sizes.append(arrived(5))
        print(*sizes)
        for kind, code, inner in ((1, 4, 4), (4, 1, 4), (1, 4, 17), (1, 3, 4)):
            with socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58) as voice:
                voice.bind((CE, 0))
                message = struct.pack("!BBHI", kind, code, 0, 0) + bytes(6) + bytes([inner]) + bytes(41)
                try:
                    voice.sendto(message, (RELAY, 0))
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

  static let relaysOnly = ["100 3000 60"]
  static let voices = ["1 4 4 dropped", "4 1 4 dropped", "1 4 17 said", "1 3 4 said"]

  @Test func onlyRelaysMaySend() throws {
    let (output, counted) = try Self.run(kind: .mapE(address: IPv4Address("192.0.2.18"), portSet: nil), mesh: false)
    #expect(output == Self.relaysOnly + Self.voices)
    #expect(counted == 3)
  }

  /// Nothing puts fragments together here, so each of the three counts, and the stray one.
  @Test func onlyTheAFTRMaySend() throws {
    let (output, counted) = try Self.run(kind: .dsLite, mesh: false)
    #expect(output == Self.relaysOnly + Self.voices)
    #expect(counted == 1 + 3 + 1 + 1)
  }

  /// Sends packets to the relay with every pair of outer and inner source; prints which of them leave.
  static let leaving = """
    import itertools, socket, subprocess
    OUTER = ("2001:db8:1::1", "ours"), ("2001:db8:1::2", "other")
    INNER = ("192.0.2.18", "ours"), ("192.0.2.19", "other")
    subprocess.run(["sh", "-ec", "ip link set lo up; for a in 2001:db8:1::1 2001:db8:1::2 2001:db8:2::1; do "
                    "ip addr add $a/128 dev lo nodad; done"], check=True)
    for (outer, whose), (inner, inside), protocol in itertools.product(OUTER, INNER, (4, 41)):
        with socket.socket(socket.AF_INET6, socket.SOCK_RAW, protocol) as line:
            line.bind((outer, 0))
            try:
                line.sendto(b"E" + bytes(11) + socket.inet_aton(inner) + bytes(24), ("2001:db8:2::1", 0))
                print(protocol, whose, inside, "leaves")
            except PermissionError:
                print(protocol, whose, inside, "dropped")
    """

  private func whatLeaves(kind: NATSpec.Kind) throws -> (output: [String], counted: UInt64?) {
    try inNetworkNamespace {
      let spec = try NATSpec(
        devices: ["softwire0"], localAddress: IPv6Address("2001:db8:1::1"), relays: [IPv6Address("2001:db8:2::1")],
        kind: kind)
      let socket = try NFTablesSocket()
      try socket.apply(plan(from: nil, to: spec.table))
      let output = try shell("python3 - <<'END'\n\(Self.leaving)\nEND")
      return (
        output.split(separator: "\n").map(String.init),
        try socket.counters(table: "routerd")[DropReason.outsidePortSetOut.rawValue]?.packets
      )
    }
  }

  @Test func outerAndInnerSourceBelongTogether() throws {
    let (output, counted) = try whatLeaves(kind: .mapE(address: IPv4Address("192.0.2.18"), portSet: nil))
    #expect(
      output == [
        "4 ours ours leaves", "41 ours ours leaves", "4 ours other dropped", "41 ours other leaves",
        "4 other ours dropped", "41 other ours leaves", "4 other other leaves", "41 other other leaves",
      ])
    #expect(counted == 2)
  }

  @Test func withoutTranslationAnythingMayBeInside() throws {
    let (output, counted) = try whatLeaves(kind: .dsLite)
    #expect(output.count == 8 && output.allSatisfy { $0.hasSuffix("leaves") })
    #expect(counted == nil)
  }

  @Test func inAMeshEverybodyButOurselvesMaySend() throws {
    let (output, counted) = try Self.run(kind: .mapE(address: IPv4Address("192.0.2.18"), portSet: nil), mesh: true)
    #expect(
      output == ["100 3000 101 3001 60"] + Self.voices)
    #expect(counted == 1)
  }
}
