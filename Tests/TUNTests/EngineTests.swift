// SPDX-License-Identifier: GPL-3.0-or-later
//
// The device's life: made, found again, changed in place, removed; and devices of others left alone.

import Glibc
import Netlink
import RouterKit
import TestSupport
import Testing

@testable import TUN

private let remote = IPv4Address(198, 51, 100, 1)

@Suite(.serialized) struct EngineTests {
  private func link(_ name: String = "softwire0") throws -> Link? {
    var netlink = try NetlinkSocket()
    return try netlink.link(named: name)
  }

  /// Sends a datagram from inside and returns the outer packet.
  private func probe(_ line: FakeLine, port: UInt16 = 5136) throws -> FakeLine.Packet? {
    let socket = try HostSocket(type: SOCK_DGRAM, port: port)
    try #require(socket.connect(to: remote, 7) == 0)
    try #require(socket.send([1]) == 0)
    return try line.receive()
  }

  /// Sends a datagram from the relay; whether it arrives inside.
  private func arrives(_ line: FakeLine, to destination: IPv6Address, port: UInt16 = 5136) throws -> Bool {
    let socket = try HostSocket(type: SOCK_DGRAM, port: port)
    let inner = PacketBuilder.udp(remote, 7, Line.ipv4, port, data: [9]).bytes
    try line.send(FakeLine.Packet(from: line.tunnel.relay, to: destination, payload: inner))
    return socket.receive() == [9]
  }

  @Test func makesTheDeviceAndReportsIt() throws {
    try inNetworkNamespace {
      let line = try FakeLine(try Line.tunnel())
      let engine = TUNEngine(log: SilentLog())
      #expect(try engine.observe(deviceName: "softwire0") == nil)
      try engine.apply(line.tunnel)
      let device = try #require(try link())
      #expect(device.kind == "tun" && device.alias == "routerd" && device.mtu == 1460 && device.isUp)
      #expect(
        try engine.observe(deviceName: "softwire0")
          == TunnelState(deviceNames: ["softwire0"], tunnel: line.tunnel))
      // The same again changes nothing.
      try engine.apply(line.tunnel)
      #expect(try link() == device)
    }
  }

  @Test func aDriftIsReportedAndMended() throws {
    try inNetworkNamespace {
      let line = try FakeLine(try Line.tunnel())
      let engine = TUNEngine(log: SilentLog())
      try engine.apply(line.tunnel)
      var netlink = try NetlinkSocket()
      let index = try #require(try link()).index
      try netlink.setLink(index, mtu: 1400)
      #expect(try engine.observe(deviceName: "softwire0")?.tunnel?.mtu == 1400)
      try netlink.setLink(index, up: false)
      #expect(try engine.observe(deviceName: "softwire0") == TunnelState(deviceNames: ["softwire0"], tunnel: nil))
      try engine.apply(line.tunnel)
      #expect(try engine.observe(deviceName: "softwire0")?.tunnel == line.tunnel)
      try line.configureIPv4()
      #expect(try probe(line) != nil)
    }
  }

  @Test func theDeviceOutlivesTheProcessAndIsFoundAgain() throws {
    try inNetworkNamespace {
      let line = try FakeLine(try Line.tunnel())
      var engine = TUNEngine(log: SilentLog())
      try engine.apply(line.tunnel)
      try line.configureIPv4()
      let index = try #require(try link()).index
      #expect(try probe(line) != nil)
      // The last reference goes, as everything goes when a process dies.
      engine = TUNEngine(log: SilentLog())
      #expect(try link()?.index == index)
      #expect(try engine.observe(deviceName: "softwire0") == TunnelState(deviceNames: ["softwire0"], tunnel: nil))
      try engine.apply(line.tunnel)
      #expect(try link()?.index == index)
      // Address and route were not touched.
      #expect(try probe(line) != nil)
      #expect(try arrives(line, to: line.tunnel.localAddress))
    }
  }

  @Test func changesInPlace() throws {
    try inNetworkNamespace {
      let line = try FakeLine(try Line.tunnel())
      let engine = TUNEngine(log: SilentLog())
      try engine.apply(line.tunnel)
      try line.configureIPv4()
      let index = try #require(try link()).index
      #expect(try probe(line)?.source == line.tunnel.localAddress)

      var changed = line.tunnel
      changed.relay = line.tunnel.allowedRelays[1]
      changed.mtu = 1400
      try engine.apply(changed)
      #expect(try probe(line)?.destination == changed.relay)

      changed.localAddress = try IPv6Address("2404:7a82:4d02:4200::1")
      // An address that is not there yet: an error, and the old tunnel goes on.
      #expect(throws: DataplaneError.self) { try engine.apply(changed) }
      #expect(try probe(line)?.source == line.tunnel.localAddress)
      #expect(try arrives(line, to: line.tunnel.localAddress))

      try line.addAddress(changed.localAddress)
      try engine.apply(changed)
      #expect(try engine.observe(deviceName: "softwire0")?.tunnel == changed)
      #expect(try probe(line)?.source == changed.localAddress)
      #expect(try arrives(line, to: changed.localAddress))
      let device = try #require(try link())
      #expect(device.index == index && device.mtu == 1400)
    }
  }

  @Test func noPacketIsLostByAChange() throws {
    try inNetworkNamespace {
      let line = try FakeLine(try Line.tunnel())
      let engine = TUNEngine(log: SilentLog())
      try engine.apply(line.tunnel)
      try line.configureIPv4()
      var other = line.tunnel
      other.localAddress = try IPv6Address("2404:7a82:4d02:4200::1")
      try line.addAddress(other.localAddress)
      let socket = try HostSocket(type: SOCK_DGRAM, port: 5136)
      #expect(socket.connect(to: remote, 7) == 0)
      for round: UInt8 in 0..<40 {
        let spec = round % 2 == 0 ? other : line.tunnel
        try engine.apply(spec)
        #expect(socket.send([round]) == 0)
        #expect(try line.receive()?.payload.last == round)
        let inner = PacketBuilder.udp(remote, 7, Line.ipv4, 5136, data: [round]).bytes
        try line.send(FakeLine.Packet(from: line.tunnel.relay, to: spec.localAddress, payload: inner))
        #expect(socket.receive() == [round])
      }
    }
  }

  @Test func aDeviceThatWasTakenAwayIsMadeAgain() throws {
    try inNetworkNamespace {
      let line = try FakeLine(try Line.tunnel())
      let engine = TUNEngine(log: SilentLog())
      try engine.apply(line.tunnel)
      var netlink = try NetlinkSocket()
      try netlink.deleteLink(try #require(try link()).index)
      #expect(try engine.observe(deviceName: "softwire0") == nil)
      try engine.apply(line.tunnel)
      try line.configureIPv4()
      #expect(try probe(line) != nil)
      #expect(try arrives(line, to: line.tunnel.localAddress))
    }
  }

  @Test func removesTheDevice() throws {
    try inNetworkNamespace {
      let line = try FakeLine(try Line.tunnel())
      let engine = TUNEngine(log: SilentLog())
      try engine.apply(line.tunnel)
      try engine.remove(deviceName: "softwire0")
      #expect(try link() == nil)
      try engine.remove(deviceName: "softwire0")
      // Also one that another process made.
      try TUNEngine(log: SilentLog()).apply(line.tunnel)
      #expect(try link() != nil)
      try engine.remove(deviceName: "softwire0")
      #expect(try link() == nil)
    }
  }

  @Test func devicesOfOthersAreLeftAlone() throws {
    try inNetworkNamespace {
      // The line's own wan0 is a TUN device without our alias.
      let line = try FakeLine(try Line.tunnel(device: "wan0"))
      let engine = TUNEngine(log: SilentLog())
      let before = try link("wan0")
      #expect(throws: DataplaneError.self) { try engine.apply(line.tunnel) }
      #expect(throws: DataplaneError.self) { try engine.observe(deviceName: "wan0") }
      try engine.remove(deviceName: "wan0")
      #expect(try link("wan0") == before)
      // An alias alone does not make a device ours.
      var netlink = try NetlinkSocket()
      let loopback = try #require(try link("lo"))
      try netlink.setLink(loopback.index, alias: "routerd")
      #expect(throws: DataplaneError.self) { try engine.observe(deviceName: "lo") }
      let error = #expect(throws: DataplaneError.self) { try engine.apply(Line.tunnel(device: "lo")) }
      #expect(error?.description.contains("lo") == true)
    }
  }

  @Test func aDeviceOfAnotherDataplaneIsReplaced() throws {
    try inNetworkNamespace {
      let line = try FakeLine(try Line.tunnel())
      try shell("ip link add softwire0 type veth peer name far; ip link set softwire0 alias routerd")
      let engine = TUNEngine(log: SilentLog())
      #expect(try engine.observe(deviceName: "softwire0") == nil)
      try engine.apply(line.tunnel)
      #expect(try link()?.kind == "tun")
      try line.configureIPv4()
      #expect(try probe(line) != nil)
      // One that is in the way no longer may go, whatever its kind.
      try shell("ip link add softwire1 type veth peer name far; ip link set softwire1 alias routerd")
      try engine.remove(deviceName: "softwire1")
      #expect(try link("softwire1") == nil)
    }
  }

  @Test func whatCannotBeIsRefusedAndLeavesNothing() throws {
    try inNetworkNamespace {
      let line = try FakeLine(try Line.tunnel())
      let engine = TUNEngine(log: SilentLog())
      for name in ["", "softwire%d", "a/b", "sixteen-bytes-xx", "with space"] {
        var tunnel = line.tunnel
        tunnel.deviceName = name
        #expect(throws: DataplaneError.self) { try engine.apply(tunnel) }
      }
      for mtu in [0, 1279, 65536, -1] {
        var tunnel = line.tunnel
        tunnel.mtu = mtu
        #expect(throws: DataplaneError.self) { try engine.apply(tunnel) }
      }
      var tunnel = line.tunnel
      tunnel.localAddress = try IPv6Address("2001:db8::1")
      let error = #expect(throws: DataplaneError.self) { try engine.apply(tunnel) }
      #expect(error?.description.contains("2001:db8::1") == true)
      var netlink = try NetlinkSocket()
      #expect(try netlink.links().map(\.name).sorted() == ["lo", "wan0"])
    }
  }

  @Test func theProviderIsTheContracts() throws {
    let provider = TUNProvider(id: try #require(PluginID("dataplane.tun")))
    #expect(provider.missingRequirement() == nil)
    #expect(provider.capabilities == [.mapE, .dsLite, .forwardingMappingRules, .receiveFromOtherRelays])
    let counters = provider.makeDataplane(log: SilentLog()).counters()
    #expect(counters.count == DropReason.allCases.count && counters.values.allSatisfy { $0 == 0 })
    #expect(counters.keys.allSatisfy { $0.allSatisfy { $0.isLowercase || $0 == "_" || $0.isNumber } })
  }
}
