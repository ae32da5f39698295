// SPDX-License-Identifier: GPL-3.0-or-later
//
// Brings the kernel's tunnel devices to what a softwire needs. There is nothing to remember between two calls, because
// the kernel shows all of it: a process that starts finds the devices of the one before and has nothing to do.
//
// A device is changed in place, so that addresses and routes on it stay. Since no two tunnels can have the same ends, a
// device that still has the ends which another one is to get steps aside first.

import Glibc
import Netlink
import RouterKit

/// The dataplane without `async`: every verb does its work on the calling thread, in that thread's network namespace.
struct IP6TnlEngine: Sendable {
  private let log: any PluginLog

  init(log: any PluginLog) {
    self.log = log
  }

  /// What exists of `spec`.
  func observe(_ spec: TunnelSpec) throws(DataplaneError) -> TunnelState? {
    var netlink = try Self.open()
    var names: [String] = []
    var isRight = true
    for wanted in SoftwireDevice.devices(for: spec) {
      if let link = try Self.link(wanted, &netlink) {
        names.append(wanted.name)
        isRight = isRight && wanted.isRight(link)
      } else {
        isRight = false
      }
    }
    return names.isEmpty ? nil : TunnelState(deviceNames: names, tunnel: isRight ? spec : nil)
  }

  /// Brings the devices to `spec`.
  func apply(_ spec: TunnelSpec) throws(DataplaneError) {
    guard (1280...65535).contains(spec.mtu) else {
      throw DataplaneError("the softwire's MTU must be 1280 to 65535, not \(spec.mtu)")
    }
    var netlink = try Self.open()
    let devices = SoftwireDevice.devices(for: spec)
    // Every name is looked at before anything is touched.
    var links: [String: Link] = [:]
    for wanted in devices {
      links[wanted.name] = try Self.link(wanted, &netlink)
    }
    for (name, tunnel) in try clearEnds(of: devices, &netlink) {
      links[name]?.tunnel = tunnel
    }
    for wanted in devices {
      if let link = links[wanted.name] {
        try change(link, to: wanted, &netlink)
      } else {
        try make(wanted, &netlink)
      }
    }
  }

  /// Removes the device, if routerd made it.
  func remove(deviceName: String) throws(DataplaneError) {
    var netlink = try Self.open()
    let link: Link?
    do throws(DataplaneError) {
      link = try netlink.softwireDevice(named: deviceName)
    } catch {
      log.warning("the device \(deviceName) stays: \(error)")
      return
    }
    guard let link else { return }
    try netlink.removeSoftwireDevice(link)
    log.info("removed the device \(deviceName)")
  }

  /// The tunnel device that is to become `wanted`; nothing if there is none, even if another dataplane left a device of
  /// that name.
  private static func link(
    _ wanted: SoftwireDevice, _ netlink: inout NetlinkSocket
  ) throws(DataplaneError) -> Link? {
    let link = try DataplaneError.translating { () throws(NetlinkError) in try netlink.link(named: wanted.name) }
    if let link, wanted.isUnmarked(link) { return link }
    return try netlink.softwireDevice(named: wanted.name).flatMap { $0.tunnel == nil ? nil : $0 }
  }

  /// Moves devices away from ends that another device is to have.
  /// - Returns: where they are now, by name.
  private func clearEnds(
    of devices: [SoftwireDevice], _ netlink: inout NetlinkSocket
  ) throws(DataplaneError) -> [String: IPv6Tunnel] {
    var moved: [String: IPv6Tunnel] = [:]
    let links = try DataplaneError.translating { () throws(NetlinkError) in try netlink.links() }
    for link in links {
      guard var tunnel = link.tunnel,
        let wanted = devices.first(where: {
          $0.tunnel.localAddress == tunnel.localAddress && $0.tunnel.remoteAddress == tunnel.remoteAddress
        }),
        wanted.name != link.name
      else { continue }
      guard link.isRouterds else {
        throw DataplaneError(
          "the tunnel \(link.name), which routerd did not make, has the same ends as the softwire's \(wanted.name), "
            + "\(tunnel.localAddress) and \(tunnel.remoteAddress); remove it")
      }
      // A place in 100::/64, which leads nowhere (RFC 6666).
      tunnel.remoteAddress = IPv6Address(bits: UInt128(0x100) << 112 | UInt128(link.index))
      let (index, mtu, aside) = (link.index, link.mtu, tunnel)
      try DataplaneError.translating { () throws(NetlinkError) in
        try netlink.changeTunnel(index, to: aside, mtu: mtu)
      }
      moved[link.name] = aside
    }
    return moved
  }

  private func make(_ wanted: SoftwireDevice, _ netlink: inout NetlinkSocket) throws(DataplaneError) {
    // What else has the name and is routerd's is another dataplane's; it goes only if something can take its place.
    if let other = try netlink.softwireDevice(named: wanted.name) {
      guard try DataplaneError.translating({ () throws(NetlinkError) in try netlink.hasIPv6Tunnels() }) else {
        throw DataplaneError(IP6TnlProvider.missingModule)
      }
      try netlink.removeSoftwireDevice(other)
    }
    do throws(NetlinkError) {
      try netlink.addTunnel(named: wanted.name, wanted.tunnel, mtu: wanted.mtu)
    } catch {
      throw DataplaneError(error.code == EOPNOTSUPP ? IP6TnlProvider.missingModule : error.description)
    }
    guard
      let link = try DataplaneError.translating({ () throws(NetlinkError) in try netlink.link(named: wanted.name) })
    else { throw DataplaneError("the tunnel \(wanted.name) vanished while it was being set up") }
    try finish(link, as: wanted, &netlink)
    log.info("made the device \(wanted.name) to \(wanted.tunnel.remoteAddress)")
  }

  private func change(
    _ link: Link, to wanted: SoftwireDevice, _ netlink: inout NetlinkSocket
  ) throws(DataplaneError) {
    guard !wanted.isRight(link) else { return }
    var link = link
    // Only where it is needed: for a moment the kernel does not find a tunnel that it changes.
    if link.tunnel != wanted.tunnel {
      try DataplaneError.translating { () throws(NetlinkError) in
        try netlink.changeTunnel(link.index, to: wanted.tunnel, mtu: wanted.mtu)
      }
      link.mtu = wanted.mtu
      log.info("the device \(wanted.name) now goes to \(wanted.tunnel.remoteAddress)")
    }
    try finish(link, as: wanted, &netlink)
  }

  /// Mark, MTU and state. The mark comes first; before the device goes up it is told to have no IPv6 of its own, whose
  /// solicitations would go nowhere.
  private func finish(
    _ link: Link, as wanted: SoftwireDevice, _ netlink: inout NetlinkSocket
  ) throws(DataplaneError) {
    try DataplaneError.translating { () throws(NetlinkError) in
      if !link.isRouterds {
        try netlink.setLink(link.index, alias: Link.routerdAlias, makesIPv6Addresses: false)
      }
      if link.mtu != wanted.mtu || !link.isUp {
        try netlink.setLink(
          link.index, up: link.isUp ? nil : true, mtu: link.mtu == wanted.mtu ? nil : wanted.mtu)
      }
    }
  }

  private static func open() throws(DataplaneError) -> NetlinkSocket {
    try DataplaneError.translating { () throws(NetlinkError) in try NetlinkSocket() }
  }
}
