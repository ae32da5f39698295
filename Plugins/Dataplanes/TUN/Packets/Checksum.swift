// SPDX-License-Identifier: GPL-3.0-or-later
//
// The checksum of the internet protocols (RFC 1071) as sums that are folded at the end, and its incremental update
// (RFC 1624).

import RouterKit

/// A one's complement sum in the making.
struct Checksum {
  private var sum: UInt64 = 0

  /// Adds a 16-bit word.
  mutating func add(_ word: UInt16) {
    sum &+= UInt64(word)
  }

  /// Adds an IPv4 address.
  mutating func add(_ address: IPv4Address) {
    sum &+= UInt64(address.bits >> 16) &+ UInt64(address.bits & 0xffff)
  }

  /// Adds `length` bytes of `bytes` from `offset` on; an odd last byte counts as the upper half of a word. What lies
  /// outside is left out.
  mutating func add(_ bytes: RawSpan, from offset: Int, length: Int) {
    guard offset >= 0, offset <= bytes.byteCount, length > 0 else { return }
    let end = offset &+ min(length, bytes.byteCount &- offset)
    var position = offset
    // Words of four bytes: their halves are folded together at the end, which one's complement sums allow.
    while position <= end &- 4 {
      sum &+= UInt64(bytes.number(at: position, as: UInt32.self))
      position &+= 4
    }
    if position <= end &- 2 {
      sum &+= UInt64(bytes.number(at: position, as: UInt16.self))
      position &+= 2
    }
    if position < end { sum &+= UInt64(bytes.byte(at: position)) << 8 }
  }

  /// The sum in 16 bits, not complemented.
  var folded: UInt16 {
    var value = sum
    while value > 0xffff { value = (value >> 16) &+ (value & 0xffff) }
    return UInt16(truncatingIfNeeded: value)
  }

  /// The checksum as it stands in a header.
  var value: UInt16 { ~folded }

  /// The sum over the pseudo header of TCP and UDP.
  /// - Parameter length: that of the transport header and payload; if left out, that of the packet.
  static func pseudoHeader(_ header: IPv4Header, length: Int? = nil) -> Checksum {
    var sum = Checksum()
    sum.add(header.source)
    sum.add(header.destination)
    sum.add(UInt16(header.protocolNumber))
    sum.add(UInt16(truncatingIfNeeded: length ?? header.totalLength &- header.headerLength))
    return sum
  }

  /// The checksum after one 16-bit word under it has changed (RFC 1624, equation 3).
  static func updated(_ checksum: UInt16, from old: UInt16, to new: UInt16) -> UInt16 {
    var sum = Checksum()
    sum.add(~checksum)
    sum.add(~old)
    sum.add(new)
    return sum.value
  }
}
