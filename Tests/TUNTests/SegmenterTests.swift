// SPDX-License-Identifier: GPL-3.0-or-later

import RouterKit
import Testing

@testable import TUN

@Suite struct SegmenterTests {
  private let remote = IPv4Address(198, 51, 100, 1)

  /// Every packet that comes of a frame.
  private func packets(_ frame: [UInt8], _ offload: OffloadHeader, room: Int = 65535) -> [[UInt8]] {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: room, alignment: 1)
    defer { buffer.deallocate() }
    let bytes = frame.span.bytes
    var segmenter = Segmenter(bytes, offload)
    var result: [[UInt8]] = []
    while result.count < 70_000 {
      guard let length = segmenter.next(of: bytes, into: buffer) else { break }
      result.append(Array(buffer.prefix(length)))
    }
    return result
  }

  private func offload(size: UInt16 = 0, start: UInt16 = 20, offset: UInt16 = 16) -> OffloadHeader {
    var header = OffloadHeader.none
    header.flags = 1
    header.segmentationType = size > 0 ? 1 : 0
    header.segmentSize = size
    header.checksumStart = start
    header.checksumOffset = offset
    return header
  }

  private func run(flags: UInt8, identification: UInt16 = 0xffff, data: [UInt8]) -> PacketBuilder {
    var builder = PacketBuilder.tcp(
      Line.ipv4, 5136, remote, 443, flags: flags, options: Array(repeating: 1, count: 12), data: data)
    builder.identification = identification
    builder.forbidsFragmenting = true
    return builder
  }

  @Test func runsAreCutIntoRightSegments() {
    let data = (0..<5000).map { UInt8(truncatingIfNeeded: $0 &* 13) }
    // PSH, ACK, FIN and CWR; sequence numbers begin at 1 in the builder.
    let frame = run(flags: 0x99, data: data).bytesWithPartialChecksum
    let result = packets(frame, offload(size: 1408))
    #expect(result.count == 4)
    for (index, packet) in result.enumerated() {
      let start = index * 1408
      var expected = run(
        flags: index == 0 ? 0x90 : index == 3 ? 0x19 : 0x10, identification: UInt16(truncatingIfNeeded: 0xffff + index),
        data: Array(data[start..<min(start + 1408, 5000)]))
      expected.payload.replaceSubrange(4..<8, with: words([0, UInt16(1 + start)]))
      expected.payload.replaceSubrange(16..<18, with: [0, 0])
      let pseudo = pseudoHeader(Line.ipv4, remote, 6, expected.payload.count)
      expected.payload.replaceSubrange(16..<18, with: words([internetChecksum(pseudo + expected.payload)]))
      let isRight = packet == expected.bytes
      #expect(isRight, "segment \(index)")
    }
  }

  @Test func aRunOfOneIsItself() {
    let builder = run(flags: 0x99, data: [1, 2, 3])
    #expect(packets(builder.bytesWithPartialChecksum, offload(size: 1408)) == [builder.bytes])
  }

  @Test func checksumsAreFilledIn() {
    let tcp = run(flags: 0x10, data: [1, 2, 3])
    #expect(packets(tcp.bytesWithPartialChecksum, offload()) == [tcp.bytes])
    let udp = PacketBuilder.udp(data: [9, 8, 7])
    #expect(packets(udp.bytesWithPartialChecksum, offload(offset: 6)) == [udp.bytes])
    // A sum of zero is written as 0xffff in UDP only.
    var data: [UInt8] = [0, 0]
    let sum = PacketBuilder.udp(data: data).payload
    data = words([word(sum, 6)])
    let zero = PacketBuilder.udp(data: data)
    #expect(word(zero.payload, 6) == 0xffff)
    #expect(packets(zero.bytesWithPartialChecksum, offload(offset: 6)) == [zero.bytes])
  }

  @Test func whatNeedsNothingPassesUnchanged() {
    let frames = [PacketBuilder.udp(data: [1]).bytes, [0x60, 1, 2, 3], [4]]
    for frame in frames {
      #expect(packets(frame, .none) == [frame])
    }
    #expect(packets([], .none) == [[]])
  }

  @Test func theHeaderIsReadAsItIsWritten() {
    var header = offload(size: 1408)
    header.headerLength = 52
    header.segmentationType = 0x81
    var bytes = [UInt8](repeating: 0, count: 10)
    var span = bytes.mutableSpan
    var mutable = span.mutableBytes
    header.write(to: &mutable)
    let read = OffloadHeader(reading: bytes.span.bytes)
    #expect(read == header)
    let nothing: [UInt8] = []
    let empty = OffloadHeader(reading: nothing.span.bytes)
    #expect(empty == .none)
  }

  @Test func noiseNeitherTrapsNorRunsOn() {
    var generator = SystemRandomNumberGenerator()
    let seed = run(flags: 0x18, data: Array(repeating: 3, count: 300)).bytes
    for _ in 0..<20_000 {
      var frame = Array(seed.prefix(Int.random(in: 0...seed.count, using: &generator)))
      for _ in 0..<4 where !frame.isEmpty {
        frame[Int.random(in: 0..<min(frame.count, 60), using: &generator)] = UInt8.random(
          in: 0...255, using: &generator)
      }
      let noise = (0..<10).map { _ in UInt8.random(in: 0...255, using: &generator) }
      var offload = OffloadHeader(reading: noise.span.bytes)
      if Bool.random(using: &generator) { offload.segmentationType = 1 }
      offload.segmentSize &= 0x1ff
      let result = packets(frame, offload, room: Int.random(in: 0...400, using: &generator))
      if result.count > max(frame.count, 1) { Issue.record("\(result.count) packets of \(frame), \(offload)") }
    }
  }
}
