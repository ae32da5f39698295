// SPDX-License-Identifier: GPL-3.0-or-later
//
// The monitor against the kernel: each kind of change is noticed, silence is silence, and a queue that overflowed is
// news too.

import Glibc
import Netlink
import TestSupport
import Testing

@Suite struct MonitorTests {
  @Test(arguments: [
    ["link set lo mtu 1500"],
    ["link add near type veth peer name far"],
    ["address add 192.0.2.1/32 dev lo"],
    ["-6 address add 2001:db8::1/128 dev lo"],
    ["route add blackhole 10.0.0.0/8"],
    ["-6 route add blackhole 2001:db8:1::/48"],
  ])
  func eachChangeIsNoticed(change: [String]) throws {
    try inNetworkNamespace {
      try ip("link set lo up")
      let monitor = try NetlinkMonitor()
      #expect(try !monitor.drain())
      try ip(change[0])
      #expect(try monitor.wait(timeout: .seconds(5)))
      #expect(try settles(monitor))
    }
  }

  /// A tool that loads sysctl.d again turns forwarding off, and nothing else tells of it.
  @Test func aChangedSettingIsNoticed() throws {
    try inNetworkNamespace {
      try ip("link set lo up")
      let monitor = try NetlinkMonitor()
      try shell("echo 1 >/proc/sys/net/ipv4/conf/lo/forwarding")
      #expect(try monitor.wait(timeout: .seconds(5)))
      #expect(try settles(monitor))
    }
  }

  @Test func aRemovalIsNoticed() throws {
    try inNetworkNamespace {
      try ip("link add near type veth peer name far")
      try ip("address add 192.0.2.1/24 dev near")
      let monitor = try NetlinkMonitor()
      try ip("address del 192.0.2.1/24 dev near")
      #expect(try monitor.wait(timeout: .seconds(5)))
      #expect(try settles(monitor))
      try ip("link del near")
      #expect(try monitor.wait(timeout: .seconds(5)))
    }
  }

  @Test func lookingIsNoChangeAndAWaitEnds() throws {
    try inNetworkNamespace {
      try ip("link set lo up")
      let monitor = try NetlinkMonitor()
      var netlink = try NetlinkSocket()
      _ = try netlink.links()
      let start = ContinuousClock.now
      #expect(try !monitor.wait(timeout: .milliseconds(50)))
      #expect(ContinuousClock.now - start >= .milliseconds(50))
      #expect(try !monitor.wait(timeout: .milliseconds(-1)))
    }
  }

  @Test func changesOfAnotherNamespaceAreNotOurs() throws {
    let news = try inNetworkNamespace {
      let monitor = try NetlinkMonitor()
      _ = try inNetworkNamespace {
        try ip("link set lo up")
      }
      return try monitor.drain()
    }
    #expect(!news)
  }

  @Test func anOverrunIsNewsAndTheMonitorGoesOn() throws {
    try inNetworkNamespace {
      try ip("link set lo up")
      let monitor = try NetlinkMonitor(receiveBufferSize: 1)
      let witness = try NetlinkMonitor(receiveBufferSize: 1)
      try ipBatch((0..<500).map { "route add blackhole 10.\($0 / 250).\($0 % 250).0/24" })
      // The error comes before the messages that still found room.
      var byte: UInt8 = 0
      #expect(recv(witness.descriptor, &byte, 1, CInt(MSG_DONTWAIT)) == -1 && errno == ENOBUFS)
      #expect(try monitor.drain())
      #expect(try !monitor.drain())
      try ip("route del blackhole 10.0.0.0/24")
      #expect(try monitor.wait(timeout: .seconds(5)))
    }
  }

  @Test func aFloodDoesNotHoldTheCaller() throws {
    try inNetworkNamespace {
      let monitor = try NetlinkMonitor()
      try ip("link set lo up")
      try ipBatch((0..<2000).map { "route add blackhole 10.\($0 / 250).\($0 % 250).0/24" })
      #expect(try monitor.drain())
      #expect(try !monitor.drain())
    }
  }

  /// Whether it gets quiet again; a link that comes up has after-effects for a moment.
  private func settles(_ monitor: NetlinkMonitor) throws -> Bool {
    for _ in 0..<50 where try !monitor.wait(timeout: .milliseconds(100)) { return true }
    return false
  }
}
