// SPDX-License-Identifier: GPL-3.0-or-later
//
// The dataplane without `async`: every verb does its work on the calling thread, and device, sockets and threads belong
// to that thread's network namespace.

import Netlink
import RouterKit
import Synchronization

/// The tunnels of this process, by device.
final class TUNEngine: Sendable {
  private let log: any PluginLog
  private let counts = Counters()
  private let tunnels = Mutex<[String: Tunnel]>([:])

  init(log: any PluginLog) {
    self.log = log
  }

  /// What exists under `deviceName`.
  func observe(deviceName: String) throws(DataplaneError) -> TunnelState? {
    var netlink = try Self.open()
    guard let link = try TUNDevice.link(named: deviceName, &netlink) else { return nil }
    var spec: TunnelSpec?
    // A device that was removed and made again is not the one that we forward for.
    if let tunnel = tunnels.withLock({ $0[deviceName] }), tunnel.device.index == link.index, link.isUp {
      spec = tunnel.spec
      spec?.mtu = Int(link.mtu)
    }
    return TunnelState(deviceNames: [deviceName], tunnel: spec)
  }

  /// Brings the tunnel of `spec.deviceName` to `spec`.
  func apply(_ spec: TunnelSpec) throws(DataplaneError) {
    guard (1280...65535).contains(spec.mtu) else {
      throw DataplaneError("the softwire's MTU must be 1280 to 65535, not \(spec.mtu)")
    }
    var netlink = try Self.open()
    let link = try TUNDevice.link(named: spec.deviceName, &netlink)
    if let tunnel = tunnels.withLock({ $0[spec.deviceName] }) {
      if tunnel.spec != nil, tunnel.device.index == link?.index {
        try tunnel.change(to: spec)
        try tunnel.device.bringUp(mtu: spec.mtu, &netlink)
        return
      }
      log.warning("the device \(spec.deviceName) was taken away; it is set up again")
      tunnels.withLock { $0[spec.deviceName] = nil }
    }
    // Sockets first: what most likely fails is the address, and then nothing has been made.
    let sockets = try SoftwireSockets(localAddress: spec.localAddress)
    // What else has the name and is routerd's is another dataplane's.
    if link == nil, let other = try netlink.softwireDevice(named: spec.deviceName) {
      try netlink.removeSoftwireDevice(other)
    }
    let device = try TUNDevice(attachingTo: spec.deviceName, &netlink)
    try device.bringUp(mtu: spec.mtu, &netlink)
    let tunnel = try Tunnel(spec, device: device, sockets: sockets, counters: counts)
    tunnels.withLock { $0[spec.deviceName] = tunnel }
    log.info("\(link == nil ? "made" : "attached to") the device \(spec.deviceName), forwarding to \(spec.relay)")
  }

  /// Stops forwarding and removes the device, if routerd made it.
  func remove(deviceName: String) throws(DataplaneError) {
    tunnels.withLock { $0[deviceName] = nil }
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

  /// Dropped packets by reason.
  func counters() -> [String: UInt64] {
    counts.values
  }

  private static func open() throws(DataplaneError) -> NetlinkSocket {
    try DataplaneError.translating { () throws(NetlinkError) in try NetlinkSocket() }
  }
}
