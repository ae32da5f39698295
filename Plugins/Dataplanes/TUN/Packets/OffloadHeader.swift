// SPDX-License-Identifier: GPL-3.0-or-later
//
// The header that stands before every packet on the device (struct virtio_net_hdr), and why it is needed. What it means
// on the way out is told in `Segmenter`.
//
// On its way in the kernel merges TCP segments of one flow (GRO), also inside IPv4-in-IPv6, and a raw socket hands out
// the merged packet: up to 64 KiB, its checksum field not a checksum but the sum over the pseudo header. Such a packet,
// written to the device as it is, could neither pass a 1500-byte link nor be accepted. The header says how to cut it up
// again and to fill in the checksum, and the kernel then does that as late as it can, at best in the network card.
//
// The kernel does not say what size the segments had. Any size is right for TCP that passes the rest of the path and
// that the receiver asked for; `SegmentSizes` knows both.
//
// Packets whose checksum the kernel has not yet filled in also come from virtual links, unmerged. A true checksum equals
// the pseudo sum once in 65536 packets; filling it in again then changes nothing.

import RouterKit

/// What the kernel is to do with a packet written to the device.
struct OffloadHeader: Hashable, Sendable {
  /// Its length in bytes.
  static let size = 10

  /// Bit 0: fill in the checksum.
  var flags: UInt8 = 0
  /// 1: TCP over IPv4; 0x80 besides: the congestion window was reduced.
  var segmentationType: UInt8 = 0
  /// Length of all headers, for segmentation.
  var headerLength: UInt16 = 0
  /// Payload of each segment.
  var segmentSize: UInt16 = 0
  /// Where the checksummed part begins.
  var checksumStart: UInt16 = 0
  /// Where in it the checksum stands.
  var checksumOffset: UInt16 = 0

  /// Nothing to do.
  static let none = OffloadHeader()

  /// What the kernel left undone in a received packet.
  /// - Parameter packetSize: the largest packet that `flow` takes, asked only for merged packets.
  /// - Throws: the reason to drop the packet.
  init(_ packet: RawSpan, _ header: IPv4Header, packetSize: (Flow) -> Int) throws(DropReason) {
    let transport = header.headerLength
    let isTCP = header.protocolNumber == IPv4Header.ProtocolNumber.tcp
    let minimum = isTCP ? 20 : 8
    guard isTCP || header.protocolNumber == IPv4Header.ProtocolNumber.udp, !header.isFragment,
      header.totalLength &- transport >= minimum
    else { return }
    let offset = isTCP ? 16 : 6
    let checksum: UInt16 = packet.number(at: transport &+ offset)
    var sum = Checksum.pseudoHeader(header)
    guard checksum == sum.folded else { return }
    let limit = packetSize(
      Flow(
        local: header.destination, localPort: packet.number(at: transport &+ 2),
        remote: header.source, remotePort: packet.number(at: transport)))
    if isTCP {
      let headers = transport &+ Int(packet.byte(at: transport &+ 12) >> 4) &* 4
      guard headers >= transport &+ 20, headers <= header.totalLength else { throw .badHeader }
      let size = max(limit &- headers, 8)
      if header.totalLength &- headers > size {
        let isWindowReduced = packet.byte(at: transport &+ 13) & 0x80 != 0
        segmentationType = isWindowReduced ? 0x81 : 1
        segmentSize = UInt16(clamping: size)
        headerLength = UInt16(clamping: headers)
      }
    } else if header.totalLength > limit {
      // Too large for one datagram, unless it came in outer fragments; then its checksum is a true one.
      sum.add(packet, from: transport, length: header.totalLength &- transport)
      guard sum.value == 0 else { throw .mergedDatagrams }
      return
    }
    flags = 1
    checksumStart = UInt16(clamping: transport)
    checksumOffset = UInt16(clamping: offset)
  }

  /// Reads the header that stands before a packet from the device.
  init(reading frame: RawSpan) {
    flags = frame.byte(at: 0)
    segmentationType = frame.byte(at: 1)
    // In host order: what `number` has swapped is swapped back.
    headerLength = frame.number(at: 2, as: UInt16.self).bigEndian
    segmentSize = frame.number(at: 4, as: UInt16.self).bigEndian
    checksumStart = frame.number(at: 6, as: UInt16.self).bigEndian
    checksumOffset = frame.number(at: 8, as: UInt16.self).bigEndian
  }

  private init() {}

  /// Writes the header, in host order as the device wants it, to the beginning of `bytes`.
  func write(to bytes: inout MutableRawSpan) {
    guard bytes.byteCount >= Self.size else { return }
    bytes.storeBytes(of: flags, toByteOffset: 0, as: UInt8.self)
    bytes.storeBytes(of: segmentationType, toByteOffset: 1, as: UInt8.self)
    bytes.storeBytes(of: headerLength, toByteOffset: 2, as: UInt16.self)
    bytes.storeBytes(of: segmentSize, toByteOffset: 4, as: UInt16.self)
    bytes.storeBytes(of: checksumStart, toByteOffset: 6, as: UInt16.self)
    bytes.storeBytes(of: checksumOffset, toByteOffset: 8, as: UInt16.self)
  }
}
