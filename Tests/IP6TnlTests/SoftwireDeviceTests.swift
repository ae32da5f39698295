// SPDX-License-Identifier: GPL-3.0-or-later
//
// Which devices a softwire gets, and under which names.

import Netlink
import RouterKit
import Testing

@testable import IP6Tnl

@Suite struct SoftwireDeviceTests {
  @Test(
    arguments: [
      ("softwire0", ["softwire0", "softwire1", "softwire2"]), ("softwire", ["softwire", "softwire1", "softwire2"]),
      ("softwire9", ["softwire9", "softwire10", "softwire11"]), ("map08", ["map08", "map09", "map010"]),
      ("map00", ["map00", "map01", "map02"]), ("7", ["7", "8", "9"]), ("a", ["a", "a1", "a2"]),
      // Fifteen bytes are all there is.
      ("fifteen-letters", ["fifteen-letters", "fifteen-letter1", "fifteen-letter2"]),
      ("fifteen-bytes-9", ["fifteen-bytes-9", "fifteen-bytes10", "fifteen-bytes11"]),
    ] as [(String, [String])])
  func namesCountUp(configured: String, expected: [String]) {
    let names = (0..<3).map { SoftwireDevice.name(configured, $0) }
    #expect(names == expected)
    #expect(names.allSatisfy { $0.utf8.count <= 15 })
  }

  @Test func whateverTheNameIsTheFirstTwentyDiffer() {
    for configured in ["softwire0", "x", "fifteen-letters", "aaaaaaaaaaaaa98", "00000000000000", "wan.100", "日本語の名前"] {
      let names = (0..<20).map { SoftwireDevice.name(configured, $0) }
      #expect(Set(names).count == 20, "\(names)")
    }
  }

  @Test func eachAllowedRelayHasADeviceAndTheOneInUseIsFirst() throws {
    let spec = try Line.tunnel()
    #expect(spec.allowedRelays.count == 2)
    for relay in spec.allowedRelays {
      var spec = spec
      spec.relay = relay
      // The order in which relays are given does not matter.
      spec.allowedRelays.reverse()
      let devices = SoftwireDevice.devices(for: spec)
      #expect(devices[0].tunnel.remoteAddress == relay)
      #expect(devices.sorted { $0.name < $1.name }.map(\.tunnel.remoteAddress) == spec.allowedRelays.sorted())
      #expect(Set(devices.map(\.name)) == ["softwire0", "softwire1"])
      #expect(devices.allSatisfy { $0.tunnel.localAddress == spec.localAddress && $0.mtu == 1460 })
      #expect(devices.allSatisfy { $0.tunnel.encapsulationLimit == nil && $0.tunnel.hopLimit == 64 })
      #expect(devices.allSatisfy { $0.tunnel.content == .ipv4 && $0.tunnel.options == [] })
    }
  }

  @Test func aRelayThatIsNotAmongTheAllowedIsOneOfThemAllTheSame() throws {
    var spec = try Line.tunnel()
    spec.allowedRelays = []
    #expect(SoftwireDevice.devices(for: spec).map(\.name) == ["softwire0"])
    #expect(SoftwireDevice.devices(for: spec).map(\.tunnel.remoteAddress) == [spec.relay])
  }

  @Test func theProviderIsTheContracts() throws {
    let provider = IP6TnlProvider(id: try #require(PluginID("dataplane.ip6tnl")))
    #expect(provider.capabilities == [.mapE, .dsLite, .receiveFromOtherRelays])
    #expect(provider.deviceNames(for: try Line.tunnel()) == ["softwire1", "softwire0"])
    #expect(provider.preference > 0)
    #expect(provider.makeDataplane(log: SilentLog()).counters().isEmpty)
  }
}
