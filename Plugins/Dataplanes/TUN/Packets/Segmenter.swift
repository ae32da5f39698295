// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the kernel leaves undone in packets that it hands to the device: cutting up a run of TCP segments, and checksums.
// Doing it here is what makes sending fast: one system call and one walk through the kernel for up to 64 KiB. The
// headers of a segment differ from those of the run in length, identification, sequence number, flags and checksums, as
// in the kernel's own code (RFC 9293; CWR on the first segment only, RFC 3168 §6.1.2; FIN and PSH on the last).

import RouterKit

/// Makes complete packets of one frame that was read from the device, one after the other.
struct Segmenter {
  private enum Plan {
    /// The frame is a packet whose checksum is right.
    case whole
    /// The frame is a packet whose checksum is to be filled in.
    case checksum(start: Int, field: Int)
    /// The frame is a run of TCP segments: length of its headers, payload of each segment.
    case segments(headers: Int, size: Int)
  }

  private let plan: Plan
  private let header: IPv4Header?
  /// Where in the frame the next packet's payload begins; beyond the frame's end when there is none.
  private var position: Int
  private let end: Int

  /// Begins with `frame`, which `offload` came with.
  init(_ frame: RawSpan, _ offload: OffloadHeader) {
    let header = try? IPv4Header(frame)
    self.header = header
    guard let header else {
      // Not a packet; the encapsulator says why.
      plan = .whole
      position = 0
      end = max(frame.byteCount, 1)
      return
    }
    end = header.totalLength
    let transport = header.headerLength
    let headers = transport &+ Int(frame.byte(at: transport &+ 12) >> 4) &* 4
    let size = Int(offload.segmentSize)
    if offload.segmentationType & 0x7f == 1, header.protocolNumber == IPv4Header.ProtocolNumber.tcp, !header.isFragment,
      size > 0, headers >= transport &+ 20, headers < end
    {
      plan = .segments(headers: headers, size: size)
      position = headers
      return
    }
    position = 0
    let start = Int(offload.checksumStart)
    let field = start &+ Int(offload.checksumOffset)
    plan =
      offload.flags & 1 != 0 && start >= transport && field &+ 2 <= end ? .checksum(start: start, field: field) : .whole
  }

  /// Writes the next packet of `frame` into `packet`; its length, or nothing if there is no more.
  mutating func next(of frame: RawSpan, into packet: UnsafeMutableRawBufferPointer) -> Int? {
    guard position < end else { return nil }
    switch plan {
    case .whole:
      position = end
      return copy(frame, 0, frame.byteCount, to: packet, at: 0)
    case .checksum(let start, let field):
      position = end
      let length = copy(frame, 0, end, to: packet, at: 0)
      var sum = Checksum()
      sum.add(frame, from: start, length: end &- start)
      // The field holds the sum over the pseudo header. For UDP zero means "no checksum" (RFC 768).
      let isZeroSpecial = header?.protocolNumber == IPv4Header.ProtocolNumber.udp
      var bytes = packet.mutableBytes
      bytes.store(sum.value == 0 && isZeroSpecial ? 0xffff : sum.value, at: field)
      return length
    case .segments(let headers, let size):
      guard let header else { return nil }
      return segment(of: frame, header, headers: headers, size: size, into: packet)
    }
  }

  private mutating func segment(
    of frame: RawSpan, _ header: IPv4Header, headers: Int, size: Int, into packet: UnsafeMutableRawBufferPointer
  ) -> Int {
    let transport = header.headerLength
    let payload = min(size, end &- position)
    let offset = position &- headers
    let isFirst = offset == 0
    let isLast = position &+ payload == end
    position &+= payload
    _ = copy(frame, 0, headers, to: packet, at: 0)
    let length = copy(frame, headers &+ offset, payload, to: packet, at: headers)
    var bytes = packet.mutableBytes
    bytes.store(UInt16(truncatingIfNeeded: length), at: 2)
    bytes.store(header.identification &+ UInt16(truncatingIfNeeded: offset / size), at: 4)
    bytes.store(UInt16(0), at: 10)
    var sum = Checksum()
    sum.add(bytes.bytes, from: 0, length: transport)
    bytes.store(sum.value, at: 10)

    let sequence: UInt32 = frame.number(at: transport &+ 4)
    bytes.store(sequence &+ UInt32(truncatingIfNeeded: offset), at: transport &+ 4)
    var flags = frame.byte(at: transport &+ 13)
    if !isFirst { flags &= ~0x80 }
    if !isLast { flags &= ~0x09 }
    bytes.store(flags, at: transport &+ 13)
    bytes.store(UInt16(0), at: transport &+ 16)
    sum = Checksum.pseudoHeader(header, length: length &- transport)
    sum.add(bytes.bytes, from: transport, length: length &- transport)
    bytes.store(sum.value, at: transport &+ 16)
    return length
  }

  /// Copies `length` bytes as far as both sides have them; where the copy ends.
  private func copy(
    _ frame: RawSpan, _ start: Int, _ length: Int, to packet: UnsafeMutableRawBufferPointer, at offset: Int
  ) -> Int {
    let length = max(min(length, frame.byteCount &- start, packet.count &- offset), 0)
    guard length > 0 else { return offset }
    frame.extracting(start..<(start &+ length)).withUnsafeBytes {
      UnsafeMutableRawBufferPointer(rebasing: packet[offset..<(offset &+ length)]).copyMemory(from: $0)
    }
    return offset &+ length
  }
}
