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
    try Self.check(name)
    let existing = try Self.link(named: name, &netlink)
    let descriptor: Descriptor
    do throws(SystemError) {
      descriptor = try Descriptor(routerd_tun_attach(name))
    } catch {
      throw DataplaneError("cannot attach to the TUN device \(name): \(error)")
    }
    guard let link = try Self.kernel({ () throws(NetlinkError) in try netlink.link(named: name) }) else {
      throw DataplaneError("the TUN device \(name) vanished while it was being set up")
    }
    if existing == nil {
      try Self.kernel { () throws(NetlinkError) in
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
    try Self.kernel { () throws(NetlinkError) in
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

  /// The link `name`; nothing if there is none.
  /// - Throws: ``DataplaneError`` if it is somebody else's.
  static func link(named name: String, _ netlink: inout NetlinkSocket) throws(DataplaneError) -> Link? {
    guard let link = try kernel({ () throws(NetlinkError) in try netlink.link(named: name) }) else { return nil }
    guard link.kind == "tun", link.isRouterds else {
      let kind = link.kind.map { "a device of kind “\($0)”" } ?? "a network card"
      throw DataplaneError(
        "the name \(name) is taken by \(kind) that routerd did not make (its alias is not “\(Link.routerdAlias)”); "
          + "choose another name with `device` under [softwire], or remove that device")
    }
    return link
  }

  private static func check(_ name: String) throws(DataplaneError) {
    // “%d” would have the kernel choose a number.
    guard (1...15).contains(name.utf8.count), name != ".", name != "..",
      name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "%") })
    else { throw DataplaneError("“\(name.prefix(32))” cannot be the name of a network device") }
  }

  /// Turns errors of netlink into ours.
  static func kernel<Value>(_ body: () throws(NetlinkError) -> Value) throws(DataplaneError) -> Value {
    do throws(NetlinkError) {
      return try body()
    } catch {
      throw DataplaneError(error.description)
    }
  }
}
