// SPDX-License-Identifier: GPL-3.0-or-later
//
// A softwire to test with, and whether this kernel has tunnels at all.

import Netlink
import RouterKit
import TestSupport

struct SilentLog: PluginLog {
  func debug(_ message: String) {}
  func info(_ message: String) {}
  func warning(_ message: String) {}
}

/// A BIGLOBE line with both relays; the one in use has the higher address.
enum Line {
  static let prefix = "2404:7a82:4d02:4100::/56"
  static let relays = ["2001:260:700:1::1:275", "2001:260:700:1::1:276"]

  static func tunnel(device: String = "softwire0") throws -> TunnelSpec {
    let rule = try MappingRule(
      ipv6Prefix: IPv6Prefix("2404:7a82:4c00::/38"), ipv4Prefix: IPv4Prefix("133.209.12.0/22"), eaBitsLength: 18,
      psidOffset: 4, identifierFormat: .draft03)
    let softwire = MAPESoftwire(
      parameters: try rule.parameters(for: IPv6Prefix(prefix)), borderRelay: try IPv6Address(relays[1]),
      allowedRelays: [try IPv6Address(relays[0])])
    return TunnelSpec(deviceName: device, softwire: .mapE(softwire), mtu: 1460)
  }
}

/// The kernel of most build machines has no ip6_tunnel; the Debian guest has.
let kernelHasTunnels: Bool = {
  let answer = try? inNetworkNamespace {
    var netlink = try NetlinkSocket()
    return try netlink.hasIPv6Tunnels()
  }
  return answer ?? false
}()
