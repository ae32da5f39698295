// SPDX-License-Identifier: GPL-3.0-or-later
//
// The devices' life on a kernel that has tunnels: made, found again, changed in place, removed.

import Netlink
import RouterKit
import TestSupport
import Testing

@testable import IP6Tnl

@Suite(.serialized, .enabled(if: kernelHasTunnels, "this kernel has no ip6_tunnel")) struct EngineTests {
  private let engine = IP6TnlEngine(log: SilentLog())

  private func link(_ name: String) throws -> Link? {
    var netlink = try NetlinkSocket()
    return try netlink.link(named: name)
  }

  /// Every link but the fallback device that the module puts into each namespace.
  private func links() throws -> [Link] {
    var netlink = try NetlinkSocket()
    return try netlink.links().filter { $0.name != "ip6tnl0" }.sorted { $0.index < $1.index }
  }

  private func isRight(_ spec: TunnelSpec) throws -> Bool {
    let names = SoftwireDevice.devices(for: spec).map(\.name)
    return try engine.observe(spec) == TunnelState(deviceNames: names, tunnel: spec)
  }

  @Test func makesTheDevicesAndAFreshProcessFindsThem() throws {
    try inNetworkNamespace {
      let spec = try Line.tunnel()
      let wan = try Wan(spec)
      #expect(try engine.observe(spec) == nil)
      try engine.apply(spec)
      for (name, relay) in zip(["softwire0", "softwire1"], spec.allowedRelays) {
        let device = try #require(try link(name))
        #expect(device.kind == "ip6tnl" && device.isRouterds && device.isUp && device.mtu == 1460)
        #expect(device.tunnel == IPv6Tunnel(localAddress: spec.localAddress, remoteAddress: relay))
        // What iproute2 makes of it, which shares no code with ours.
        let shown = try shell("ip -d link show \(name)")
        #expect(shown.contains("ip6tnl ipip6 remote \(relay) local \(spec.localAddress) hoplimit 64 encaplimit none"))
        #expect(shown.contains("addrgenmode none"))
        #expect(try shell("ip -6 address show \(name)") == "")
      }
      let before = try links()
      #expect(try isRight(spec))
      try IP6TnlEngine(log: SilentLog()).apply(spec)
      #expect(try links() == before)
      withExtendedLifetime(wan) {}
    }
  }

  @Test func anotherRelayNeedsNoChange() throws {
    try inNetworkNamespace {
      var spec = try Line.tunnel()
      try engine.apply(spec)
      let before = try links()
      #expect(try engine.observe(spec)?.deviceNames == ["softwire1", "softwire0"])
      spec.relay = spec.allowedRelays[0]
      #expect(try engine.observe(spec) == TunnelState(deviceNames: ["softwire0", "softwire1"], tunnel: spec))
      try engine.apply(spec)
      #expect(try links() == before)
    }
  }

  @Test(
    arguments: [
      "ip link set softwire0 mtu 1400", "ip link set softwire0 down", "ip link set softwire1 down",
      "ip link set softwire0 type ip6tnl remote 2001:db8::1", "ip link set softwire0 type ip6tnl local 2001:db8::1",
      "ip link set softwire1 type ip6tnl mode any", "ip link set softwire1 type ip6tnl encaplimit 4",
      "ip link set softwire0 type ip6tnl hoplimit 3", "ip link set softwire0 type ip6tnl tclass 0x10",
      "ip link set softwire0 type ip6tnl tclass inherit", "ip link set softwire0 type ip6tnl fwmark 7",
      "ip link set softwire0 alias ''",
    ])
  func aDriftIsSeenAndMendedInPlace(damage: String) throws {
    try inNetworkNamespace {
      let spec = try Line.tunnel()
      try engine.apply(spec)
      let before = try links()
      try shell(damage)
      let state = try #require(try engine.observe(spec))
      #expect(state.tunnel == nil && state.deviceNames.count == 2)
      try engine.apply(spec)
      #expect(try isRight(spec))
      #expect(try links() == before)
    }
  }

  @Test(arguments: ["softwire0", "softwire1"])
  func aDeviceThatWasTakenAwayIsMadeAgain(name: String) throws {
    try inNetworkNamespace {
      let spec = try Line.tunnel()
      try engine.apply(spec)
      try shell("ip link delete \(name)")
      #expect(try engine.observe(spec)?.deviceNames.count == 1)
      try engine.apply(spec)
      #expect(try isRight(spec))
    }
  }

  @Test func endsAndMTUChangeInPlace() throws {
    try inNetworkNamespace {
      var spec = try Line.tunnel()
      let wan = try Wan(spec)
      try engine.apply(spec)
      try wan.configureIPv4(["softwire1", "softwire0"])
      let indices = try links().map(\.index)
      let routes = try shell("ip route show; ip -4 address show softwire0")
      spec.localAddress = try IPv6Address("2404:7a82:4d02:4200::1")
      spec.mtu = 1400
      try wan.addAddress(spec.localAddress)
      try engine.apply(spec)
      #expect(try isRight(spec))
      #expect(try links().map(\.index) == indices)
      let after = try shell("ip route show; ip -4 address show softwire0")
      #expect(after == routes.replacing("1460", with: "1400"))
    }
  }

  /// Every way from one list of relays to another, where the ends that one device is to have are another's still.
  @Test func relaysMayChangePlaces() throws {
    let relays = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4"]
    for first in 1..<16 {
      try inNetworkNamespace {
        for second in 1..<16 {
          for choice in [first, second] {
            var spec = try Line.tunnel()
            spec.allowedRelays = try relays.indices.filter { choice & 1 << $0 != 0 }.map { try IPv6Address(relays[$0]) }
            spec.relay = spec.allowedRelays[0]
            try engine.apply(spec)
            #expect(try isRight(spec), "\(first) to \(second)")
          }
        }
      }
    }
  }

  @Test func aTunnelOfSomebodyElseWithTheSameEndsIsNamed() throws {
    try inNetworkNamespace {
      let spec = try Line.tunnel()
      try shell(
        "ip link add theirs type ip6tnl mode ipip6 local \(spec.localAddress) remote \(spec.relay) encaplimit none")
      let before = try links()
      let error = #expect(throws: DataplaneError.self) { try engine.apply(spec) }
      #expect(error?.description.contains("the tunnel theirs, which routerd did not make") == true)
      #expect(try links() == before)
    }
  }

  @Test func aTunnelWithoutTheMarkStaysUnlessItIsTheVeryOne() throws {
    try inNetworkNamespace {
      let spec = try Line.tunnel()
      // One that somebody made for another purpose.
      try shell("ip link add softwire1 type ip6tnl mode ipip6 local \(spec.localAddress) remote 2001:db8::1")
      #expect(throws: DataplaneError.self) { try engine.apply(spec) }
      try shell("ip link delete softwire1")
      // One that a process left which died before it had set the mark.
      try shell(
        "ip link add softwire1 type ip6tnl mode ipip6 local \(spec.localAddress) remote \(spec.relay) "
          + "encaplimit none hoplimit 64")
      let index = try #require(try link("softwire1")).index
      #expect(try engine.observe(spec) == TunnelState(deviceNames: ["softwire1"], tunnel: nil))
      try engine.apply(spec)
      #expect(try isRight(spec))
      #expect(try link("softwire1")?.index == index)
      #expect(try shell("ip -6 address show softwire1") == "")
    }
  }

  @Test func theDeviceOfTheOtherDataplaneIsReplaced() throws {
    try inNetworkNamespace {
      let spec = try Line.tunnel()
      try shell("ip tuntap add dev softwire0 mode tun; ip link set softwire0 alias routerd")
      #expect(try engine.observe(spec) == nil)
      try engine.apply(spec)
      #expect(try isRight(spec))
      #expect(try link("softwire0")?.kind == "ip6tnl")
    }
  }

  @Test func theFallbackDeviceOfTheModuleIsNobodysSoftwire() throws {
    try inNetworkNamespace {
      let spec = try Line.tunnel(device: "ip6tnl0")
      let error = #expect(throws: DataplaneError.self) { try engine.apply(spec) }
      #expect(error?.description.contains("ip6tnl0 is taken") == true)
      #expect(try link("ip6tnl0") != nil)
    }
  }

  @Test func removesOneDeviceAndAgainNothing() throws {
    try inNetworkNamespace {
      let spec = try Line.tunnel()
      let before = try links()
      try engine.apply(spec)
      for name in ["softwire0", "softwire1", "softwire1"] { try engine.remove(deviceName: name) }
      #expect(try links() == before)
      #expect(try engine.observe(spec) == nil)
    }
  }
}
