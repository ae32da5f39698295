// SPDX-License-Identifier: GPL-3.0-or-later
//
// The TUN device. It is persistent: when the daemon stops or dies, device, addresses and routes stay, and the next
// process attaches a queue to the same device. Its alias marks it as ours. Alias first, persistence second: a process
// that dies in between leaves nothing behind. It has no IPv6 of its own, whose solicitations would go nowhere.

import CTUN
import Glibc
import Netlink
import RouterKit

/// A queue of a TUN device that is ours.
struct TUNDevice: Sendable {
  let name: String
  let index: UInt32
  private let descriptor: Descriptor

  /// For poll(2).
  var fileNumber: CInt { descriptor.number }

  /// Attaches to the device `name`, which is made if there is none.
  init(attachingTo name: String, _ netlink: inout NetlinkSocket) throws(DataplaneError) {
    let existing = try Self.link(named: name, &netlink)
    let descriptor: Descriptor
    do throws(SystemError) {
      descriptor = try Descriptor(routerd_tun_attach(name))
    } catch {
      throw DataplaneError("cannot attach to the TUN device \(name): \(error)")
    }
    guard let link = try DataplaneError.translating({ () throws(NetlinkError) in try netlink.link(named: name) }) else {
      throw DataplaneError("the TUN device \(name) vanished while it was being set up")
    }
    if existing == nil {
      try DataplaneError.translating { () throws(NetlinkError) in
        try netlink.setLink(
          link.index, alias: Link.routerdAlias, makesIPv6Addresses: false)
      }
      let result = routerd_tun_set_persistent(descriptor.number, 1)
      guard result == 0 else {
        throw DataplaneError("cannot make the TUN device \(name) persistent: \(SystemError(code: -result))")
      }
    }
    self.name = name
    self.descriptor = descriptor
    index = link.index
  }

  /// Brings MTU and state to what is wanted.
  func bringUp(mtu: Int, _ netlink: inout NetlinkSocket) throws(DataplaneError) {
    guard let link = try Self.link(named: name, &netlink) else {
      throw DataplaneError("the TUN device \(name) vanished while it was being set up")
    }
    let wanted = UInt32(clamping: mtu)
    guard link.mtu != wanted || !link.isUp else { return }
    try DataplaneError.translating { () throws(NetlinkError) in
      try netlink.setLink(
        link.index, up: link.isUp ? nil : true, mtu: link.mtu == wanted ? nil : wanted)
    }
  }

  /// Reads one packet, behind its offload header, into `buffer` without waiting.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int {
    while true {
      let count = Glibc.read(descriptor.number, buffer.baseAddress, buffer.count)
      if count >= 0 { return count }
      guard errno == EINTR else { throw SystemError(code: errno) }
    }
  }

  /// Writes one packet that stands behind its offload header.
  func write(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
    while Glibc.write(descriptor.number, bytes.baseAddress, bytes.count) < 0 {
      guard errno == EINTR else { throw SystemError(code: errno) }
    }
  }

  /// Writes one complete packet.
  func write(packet: [UInt8]) throws(SystemError) {
    let bytes = [UInt8](repeating: 0, count: OffloadHeader.size) + packet
    try bytes.span.bytes.withUnsafeBytes { bytes throws(SystemError) in try write(bytes) }
  }

  /// The TUN device `name`; nothing if there is none, even if another dataplane left a device of that name.
  /// - Throws: ``DataplaneError`` if it is somebody else's.
  static func link(named name: String, _ netlink: inout NetlinkSocket) throws(DataplaneError) -> Link? {
    try netlink.softwireDevice(named: name).flatMap { $0.kind == "tun" ? $0 : nil }
  }
}
