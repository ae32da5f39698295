// SPDX-License-Identifier: GPL-3.0-or-later
//
// Builds one request with libmnl, which does the lengths, the padding and the nesting. Nothing can be written behind the
// end of the buffer: an attribute that finds no room marks the message, and a marked message is never sent.

import CMNL
import RouterKit

/// A request under construction.
struct MessageWriter: ~Copyable {
  /// A request of ours needs a few hundred bytes; the longest text, an alias, has at most 255.
  private static let capacity = 4096

  private let header: UnsafeMutablePointer<nlmsghdr>
  private var isOverfull = false

  /// Starts a request.
  /// - Parameters:
  ///   - type: `RTM_…`.
  ///   - flags: `NLM_F_…`; a request with acknowledgement is a matter of course.
  init(_ type: Int, flags: CInt = 0) {
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: Self.capacity, alignment: 8)
    // libmnl 1.0.4 leaves padding as it finds it.
    buffer.initializeMemory(as: UInt8.self, repeating: 0, count: Self.capacity)
    mnl_nlmsg_put_header(buffer)
    header = buffer.assumingMemoryBound(to: nlmsghdr.self)
    header.pointee.nlmsg_type = UInt16(truncatingIfNeeded: type)
    header.pointee.nlmsg_flags = UInt16(truncatingIfNeeded: NLM_F_REQUEST | NLM_F_ACK | flags)
  }

  deinit {
    UnsafeMutableRawPointer(header).deallocate()
  }

  /// The struct that every message of its family begins with; exactly once, before any attribute.
  mutating func putFamilyHeader<Header: BitwiseCopyable>(_ value: Header) {
    mnl_nlmsg_put_extra_header(header, MemoryLayout<Header>.size)?.storeBytes(of: value, as: Header.self)
  }

  mutating func put(_ type: Int, _ value: UInt8) {
    note(mnl_attr_put_u8_check(header, Self.capacity, UInt16(truncatingIfNeeded: type), value))
  }

  mutating func put(_ type: Int, _ value: UInt32) {
    note(mnl_attr_put_u32_check(header, Self.capacity, UInt16(truncatingIfNeeded: type), value))
  }

  mutating func put(_ type: Int, _ text: String) {
    note(mnl_attr_put_strz_check(header, Self.capacity, UInt16(truncatingIfNeeded: type), text))
  }

  mutating func put(_ type: Int, _ address: some IPAddress) {
    let bytes = address.networkBytes
    note(mnl_attr_put_check(header, Self.capacity, UInt16(truncatingIfNeeded: type), bytes.count, bytes))
  }

  mutating func put<Value: BitwiseCopyable>(_ type: Int, struct value: Value) {
    note(
      withUnsafeBytes(of: value) {
        mnl_attr_put_check(header, Self.capacity, UInt16(truncatingIfNeeded: type), $0.count, $0.baseAddress)
      })
  }

  /// An attribute that holds what `body` puts.
  mutating func nest(_ type: Int, _ body: (inout MessageWriter) -> Void) {
    guard let start = mnl_attr_nest_start_check(header, Self.capacity, UInt16(truncatingIfNeeded: type)) else {
      isOverfull = true
      return
    }
    body(&self)
    mnl_attr_nest_end(header, start)
  }

  private mutating func note(_ hadRoom: Bool) {
    if !hadRoom { isOverfull = true }
  }

  /// The bytes to send, or nothing if something found no room.
  func bytes(sequence: UInt32, port: UInt32) -> [UInt8]? {
    guard !isOverfull else { return nil }
    header.pointee.nlmsg_seq = sequence
    header.pointee.nlmsg_pid = port
    return Array(UnsafeRawBufferPointer(start: header, count: Int(header.pointee.nlmsg_len)))
  }
}

extension IPAddress {
  /// `AF_INET` or `AF_INET6`.
  static var family: UInt8 {
    UInt8(truncatingIfNeeded: bitCount == 32 ? AF_INET : AF_INET6)
  }

  /// The address as it stands in a message.
  var networkBytes: [UInt8] {
    withUnsafeBytes(of: bits.bigEndian) { Array($0) }
  }

  /// Reads an address from a message; nothing if it has not the length of this family.
  init?(networkBytes bytes: ArraySlice<UInt8>) {
    guard bytes.count * 8 == Self.bitCount else { return nil }
    self.init(bits: bytes.reduce(0) { $0 << 8 | Bits($1) })
  }
}
