// SPDX-License-Identifier: GPL-3.0-or-later
//
// Which devices a softwire needs. The kernel's tunnel knows one far end or takes packets from the whole internet, so
// there is one device for each allowed relay, all with the same local address; finding a device by both addresses is
// the kernel's check of the outer source. The relays in order of their addresses have the devices in order of their
// numbers, whichever is in use: changing over to another relay changes no device.

import Netlink
import RouterKit

/// One device of a softwire, as it should be.
struct SoftwireDevice: Hashable, Sendable {
  let name: String
  let tunnel: IPv6Tunnel
  let mtu: UInt32

  /// The devices for `spec`; that of the relay in use is the first.
  static func devices(for spec: TunnelSpec) -> [SoftwireDevice] {
    let relays = Set(spec.allowedRelays + [spec.relay]).sorted()
    let devices = relays.enumerated().map { number, relay in
      // Without the option for the encapsulation limit, which ISPs forbid. The traffic class is not copied: what the
      // hosts here mark means nothing on the line, and congestion marks travel without.
      SoftwireDevice(
        name: name(spec.deviceName, number),
        tunnel: IPv6Tunnel(localAddress: spec.localAddress, remoteAddress: relay),
        mtu: UInt32(clamping: spec.mtu))
    }
    return devices.filter { $0.tunnel.remoteAddress == spec.relay }
      + devices.filter { $0.tunnel.remoteAddress != spec.relay }
  }

  /// The name of the device after `offset` others: the number at the end of the configured name counts up from there,
  /// and a name without one gets one. The text before it gives way where the name would become too long.
  static func name(_ configured: String, _ offset: Int) -> String {
    guard offset > 0 else { return configured }
    var digits = configured.suffix(configured.reversed().prefix { $0.isASCII && $0.isNumber }.count)
    // Zeros before a number belong to the text.
    while digits.count > 1, digits.first == "0" { digits.removeFirst() }
    let number = Int(digits)
    let suffix = String((number ?? 0) &+ offset)
    var text = configured.dropLast(number == nil ? 0 : digits.count)
    while !text.isEmpty, text.utf8.count + suffix.utf8.count > 15 { text.removeLast() }
    return text + suffix
  }

  /// Whether `link` is all that it should be.
  func isRight(_ link: Link) -> Bool {
    link.isRouterds && link.isUp && link.mtu == mtu && link.tunnel == tunnel
  }

  /// Whether `link` lacks the mark and is in all else the one that is wanted: a process died before it had marked it, or
  /// the mark was taken off. The kernel has no second tunnel with the same ends, so it is this one or none.
  func isUnmarked(_ link: Link) -> Bool {
    link.name == name && link.alias == nil && link.tunnel == tunnel
  }
}
