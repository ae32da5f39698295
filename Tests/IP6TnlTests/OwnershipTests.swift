// SPDX-License-Identifier: GPL-3.0-or-later
//
// Devices of others are left alone, on any kernel.

import Netlink
import RouterKit
import TestSupport
import Testing

@testable import IP6Tnl

@Suite(.serialized) struct OwnershipTests {
  private func links() throws -> [Link] {
    var netlink = try NetlinkSocket()
    return try netlink.links()
  }

  @Test(arguments: ["softwire0", "softwire1"])
  func aDeviceOfSomebodyElseIsNamedAndStays(name: String) throws {
    try inNetworkNamespace {
      try shell("ip link add \(name) type veth peer name far")
      let before = try links()
      let engine = IP6TnlEngine(log: SilentLog())
      let spec = try Line.tunnel()
      for error in [
        #expect(throws: DataplaneError.self) { try engine.apply(spec) },
        #expect(throws: DataplaneError.self) { _ = try engine.observe(spec) },
      ] {
        #expect(error?.description.contains("the name \(name) is taken by a device of kind “veth”") == true)
      }
      try engine.remove(deviceName: name)
      // Nothing was made before the obstacle was seen.
      #expect(try links() == before)
    }
  }

  @Test func anAliasAloneMakesNoDeviceOurs() throws {
    try inNetworkNamespace {
      try shell("ip link set lo alias routerd")
      let engine = IP6TnlEngine(log: SilentLog())
      #expect(throws: DataplaneError.self) { _ = try engine.observe(Line.tunnel(device: "lo")) }
      try engine.remove(deviceName: "lo")
      #expect(try links().contains { $0.name == "lo" })
    }
  }

  @Test func aDeviceOfAnotherDataplaneIsNoTunnelAndMayGo() throws {
    try inNetworkNamespace {
      try shell("ip link add softwire0 type veth peer name far; ip link set softwire0 alias routerd")
      let engine = IP6TnlEngine(log: SilentLog())
      #expect(try engine.observe(Line.tunnel()) == nil)
      try engine.remove(deviceName: "softwire0")
      #expect(try !links().contains { $0.name == "softwire0" })
      try engine.remove(deviceName: "softwire0")
    }
  }

  @Test func whatCannotBeIsRefusedAndLeavesNothing() throws {
    try inNetworkNamespace {
      let before = try links()
      let engine = IP6TnlEngine(log: SilentLog())
      for name in ["", "softwire%d", "a/b", "sixteen-bytes-xx", "with space"] {
        #expect(throws: DataplaneError.self) { try engine.apply(Line.tunnel(device: name)) }
      }
      for mtu in [0, 1279, 65536, -1] {
        var tunnel = try Line.tunnel()
        tunnel.mtu = mtu
        #expect(throws: DataplaneError.self) { try engine.apply(tunnel) }
      }
      #expect(try links() == before)
    }
  }

  @Test(.disabled(if: kernelHasTunnels)) func aKernelWithoutTunnelsIsToldByTheNameOfItsModule() throws {
    try inNetworkNamespace {
      try shell("ip link add softwire1 type veth peer name far; ip link set softwire1 alias routerd")
      let before = try links()
      let provider = IP6TnlProvider(id: try #require(PluginID("dataplane.ip6tnl")))
      #expect(provider.missingRequirement()?.contains("“ip6_tunnel”") == true)
      let error = #expect(throws: DataplaneError.self) { try IP6TnlEngine(log: SilentLog()).apply(Line.tunnel()) }
      #expect(error?.description.contains("“ip6_tunnel”") == true)
      // What another dataplane has under the name is not given up for nothing.
      #expect(try links() == before)
    }
  }
}
