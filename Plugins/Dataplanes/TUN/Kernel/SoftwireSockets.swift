// SPDX-License-Identifier: GPL-3.0-or-later
//
// The IPv6 side: a raw socket for next header 4 and one for ICMPv6 errors, both bound to this router's end of the
// softwire. Having the first one open also keeps the kernel from answering such packets with "unknown next header".

import CTUN
import Glibc
import RouterKit

/// The sockets of one local address.
struct SoftwireSockets: Sendable {
  let localAddress: IPv6Address
  private let packets: Descriptor
  private let errors: Descriptor

  /// For poll(2).
  var packetsFileNumber: CInt { packets.number }
  /// For poll(2).
  var errorsFileNumber: CInt { errors.number }

  init(localAddress: IPv6Address) throws(DataplaneError) {
    self.localAddress = localAddress
    do throws(SystemError) {
      packets = try Descriptor(routerd_tun_open_softwire(localAddress.bytes))
      errors = try Descriptor(routerd_tun_open_errors(localAddress.bytes))
    } catch {
      if error.code == EADDRNOTAVAIL {
        throw DataplaneError(
          "the softwire's address \(localAddress) is not usable on this machine: it is missing, or duplicate address "
            + "detection has not finished")
      }
      if error.code == EPERM {
        throw DataplaneError("raw sockets are not permitted: CAP_NET_RAW is missing")
      }
      throw DataplaneError("cannot open the softwire's sockets on \(localAddress): \(error)")
    }
  }

  /// Receives packets without waiting; returns how many.
  func receive(_ batch: PacketBatch) throws(SystemError) -> Int {
    try count(routerd_tun_receive(packets.number, batch.messages, UInt32(PacketBatch.count)))
  }

  /// Receives ICMPv6 errors without waiting; returns how many.
  func receiveErrors(_ batch: PacketBatch) throws(SystemError) -> Int {
    try count(routerd_tun_receive(errors.number, batch.messages, UInt32(PacketBatch.count)))
  }

  /// Sends the packets `range` of `batch` without waiting; returns how many went. An error is that of the first one.
  func send(_ batch: PacketBatch, _ range: Range<Int>) throws(SystemError) -> Int {
    try count(routerd_tun_send(packets.number, batch.messages + range.lowerBound, UInt32(range.count)))
  }

  /// The packet size that the kernel sends to `destination` unfragmented now, if there is a route.
  func routeMTU(to destination: IPv6Address) -> Int? {
    let mtu = routerd_tun_route_mtu(localAddress.bytes, destination.bytes)
    return mtu > 0 ? Int(mtu) : nil
  }

  private func count(_ result: CInt) throws(SystemError) -> Int {
    guard result >= 0 else { throw SystemError(code: -result) }
    return Int(result)
  }
}
