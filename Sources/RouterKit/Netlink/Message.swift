// SPDX-License-Identifier: GPL-3.0-or-later
//
// Takes datagrams of the kernel apart. All reading is on array slices with every length checked, because a length that
// lies must cost an object and not the process. (libmnl's iterators are not used for it: the 1.0.4 of Debian 12 compares
// a message length as a signed number, so one with the top bit set passes.)

import CMNL

/// One message of a datagram.
struct Message: Hashable {
  let type: UInt16
  let flags: UInt16
  let sequence: UInt32
  let port: UInt32
  let payload: ArraySlice<UInt8>

  /// The messages of a datagram, or nothing if the last one is cut or a length is impossible.
  static func messages(in datagram: [UInt8]) -> [Message]? {
    var messages: [Message] = []
    var rest = datagram[...]
    while !rest.isEmpty {
      guard let header = rest.load(nlmsghdr.self), let body = rest.body(of: Int(header.nlmsg_len), after: headerLength)
      else { return nil }
      messages.append(
        Message(
          type: header.nlmsg_type, flags: header.nlmsg_flags, sequence: header.nlmsg_seq, port: header.nlmsg_pid,
          payload: body))
      rest = rest.dropFirst(aligned(Int(header.nlmsg_len)))
    }
    return messages
  }

  private static let headerLength = MemoryLayout<nlmsghdr>.size

  /// Whether `flag` (`NLM_F_…`) is set.
  func has(_ flag: CInt) -> Bool {
    flags & UInt16(truncatingIfNeeded: flag) != 0
  }

  /// The struct at the head of the payload, if it is all there.
  func familyHeader<Header: BitwiseCopyable>(_ type: Header.Type) -> Header? {
    payload.load(type)
  }

  /// The attributes behind the struct at the head of the payload.
  func attributes<Header: BitwiseCopyable>(after type: Header.Type) -> Attributes {
    Attributes(payload.dropFirst(aligned(MemoryLayout<Header>.size)))
  }
}

/// The attributes of a message or of a nest, by type. The first one that is broken ends them.
struct Attributes {
  private var values: [Int: ArraySlice<UInt8>] = [:]

  init(_ bytes: ArraySlice<UInt8>) {
    var rest = bytes
    while let header = rest.load(nlattr.self),
      let body = rest.body(of: Int(header.nla_len), after: MemoryLayout<nlattr>.size)
    {
      // The two top bits say how the value is coded and do not belong to the type.
      values[Int(header.nla_type & 0x3fff)] = body
      rest = rest.dropFirst(aligned(Int(header.nla_len)))
    }
  }

  subscript(_ type: Int) -> ArraySlice<UInt8>? {
    values[type]
  }

  /// The value of a number or struct, if it is long enough.
  func load<Value: BitwiseCopyable>(_ type: Int, as valueType: Value.Type) -> Value? {
    values[type]?.load(valueType)
  }

  /// The attributes inside an attribute; none if it is not there.
  func nest(_ type: Int) -> Attributes {
    Attributes(values[type] ?? [])
  }

  /// A text up to its terminating zero, which may be missing; bytes that are no UTF-8 are replaced.
  func text(_ type: Int) -> String? {
    values[type].map { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
}

/// Messages and attributes begin at multiples of four.
private func aligned(_ length: Int) -> Int {
  (length + 3) & ~3
}

extension ArraySlice<UInt8> {
  /// Reads a value from the first bytes, if there are enough.
  func load<Value: BitwiseCopyable>(_ type: Value.Type) -> Value? {
    guard count >= MemoryLayout<Value>.size else { return nil }
    return withUnsafeBytes { $0.loadUnaligned(as: type) }
  }

  /// What is behind a header of `headerLength` bytes in an element of `length` bytes, if the element is possible.
  fileprivate func body(of length: Int, after headerLength: Int) -> ArraySlice<UInt8>? {
    guard length >= headerLength, length <= count else { return nil }
    return prefix(length).dropFirst(headerLength)
  }
}
