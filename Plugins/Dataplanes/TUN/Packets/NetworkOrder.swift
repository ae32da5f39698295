// SPDX-License-Identifier: GPL-3.0-or-later
//
// Reading and writing packets. Packets come from strangers, so reading is total: what lies outside the packet reads as
// zero and writing there does nothing. The parsers check lengths first and say what is wrong; that these accessors never
// trap is the second line of defence, and it holds without looking at the callers.

import RouterKit

extension RawSpan {
  /// The byte at `offset`.
  @inline(__always)
  func byte(at offset: Int) -> UInt8 {
    guard offset >= 0, offset < byteCount else { return 0 }
    return unsafeLoad(fromByteOffset: offset, as: UInt8.self)
  }

  /// The number of a fixed width, in network order, at `offset`.
  @inline(__always)
  func number<Value: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: Value.Type = Value.self) -> Value {
    guard offset >= 0, offset <= byteCount - MemoryLayout<Value>.size else { return 0 }
    return Value(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: Value.self))
  }

  /// The IPv6 address at `offset`.
  func ipv6Address(at offset: Int) -> IPv6Address {
    IPv6Address(bits: number(at: offset))
  }
}

extension MutableRawSpan {
  /// Writes `value` in network order at `offset`.
  @inline(__always)
  mutating func store<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value, at offset: Int) {
    guard offset >= 0, offset <= byteCount - MemoryLayout<Value>.size else { return }
    storeBytes(of: value.bigEndian, toByteOffset: offset, as: Value.self)
  }
}
