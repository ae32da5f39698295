// SPDX-License-Identifier: GPL-3.0-or-later
//
// What encoding and decoding share: libnftnl's objects with an owner, messages, and "user data", the bytes that the
// kernel stores for nft without looking at them.

internal import CNFTNL
internal import Glibc

/// An object of libnftnl that is freed with its owner.
struct CObject: ~Copyable {
  let pointer: OpaquePointer
  private let free: (OpaquePointer?) -> Void

  init(_ action: String, _ pointer: OpaquePointer?, free: @escaping (OpaquePointer?) -> Void) throws(NFTablesError) {
    guard let pointer else { throw NFTablesError(action, code: ENOMEM) }
    self.pointer = pointer
    self.free = free
  }

  deinit {
    free(pointer)
  }
}

/// Encodes one message of the nf_tables subsystem for the family `inet`.
func encodeMessage(
  _ type: nf_tables_msg_types, flags: Int32, sequence: UInt32 = 0, size: Int = 4096, family: Int = Int(NFPROTO_INET),
  payload: (UnsafeMutablePointer<nlmsghdr>) -> Void
) throws(NFTablesError) -> [UInt8] {
  try withAlignedBuffer(size) { (buffer) throws(NFTablesError) in
    guard
      let header = nftnl_nlmsg_build_hdr(
        buffer.assumingMemoryBound(to: CChar.self).baseAddress, UInt16(type.rawValue), UInt16(family), UInt16(flags),
        sequence)
    else { throw NFTablesError("encoding a message", code: ENOMEM) }
    payload(header)
    return Array(buffer.prefix(Int(header.pointee.nlmsg_len)))
  }
}

/// User data: a list of (type, length, value), each of at most 255 bytes.
struct UserData {
  private var fields: [(type: UInt8, value: [UInt8])] = []

  /// Reads what the kernel stored; a field that runs over the end is left out.
  init(_ bytes: [UInt8]) {
    var rest = bytes[...]
    while let type = rest.popFirst(), let length = rest.popFirst(), rest.count >= Int(length) {
      fields.append((type, Array(rest.prefix(Int(length)))))
      rest = rest.dropFirst(Int(length))
    }
  }

  /// A comment, which ends in a zero.
  static func comment(_ text: String, type: UInt32, _ action: String) throws(NFTablesError) -> UserData {
    guard text.utf8.count <= 126 else {
      throw NFTablesError(action, code: EINVAL, detail: "the comment “\(text)” is longer than 126 bytes")
    }
    var data = UserData([])
    data.fields = [(UInt8(type), Array(text.utf8) + [0])]
    return data
  }

  /// The comment of a set, and the byte orders that nft wants to know to print it.
  static func description(of set: NamedSet, _ action: String) throws(NFTablesError) -> UserData {
    var data = UserData([])
    if let comment = set.dynamic?.comment {
      data = try UserData.comment(comment, type: NFTNL_UDATA_SET_COMMENT.rawValue, action)
    }
    func order(_ type: DataType) -> [UInt8] {
      // nft's own numbers: 1 is the host's order, 2 is network order.
      withUnsafeBytes(of: UInt32(type.isHostOrder ? 1 : 2)) { Array($0) }
    }
    data.fields.append((UInt8(NFTNL_UDATA_SET_KEYBYTEORDER.rawValue), order(set.key)))
    if let type = set.data {
      data.fields.append((UInt8(NFTNL_UDATA_SET_DATABYTEORDER.rawValue), order(type)))
    }
    return data
  }

  /// The text in the field, without the zero at its end.
  func text(type: UInt32) -> String? {
    value(type: type).map { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  /// Whether the field holds the number of the host's byte order.
  func isHostOrder(type: UInt32) -> Bool {
    value(type: type) == withUnsafeBytes(of: UInt32(1)) { Array($0) }
  }

  /// Lends the encoded bytes to a setter of libnftnl.
  func withBytes(_ body: (UnsafeRawPointer?, UInt32) -> some Any) {
    let bytes = fields.flatMap { [$0.type, UInt8($0.value.count)] + $0.value }
    bytes.withUnsafeBytes { _ = body($0.baseAddress, UInt32($0.count)) }
  }

  private func value(type: UInt32) -> [UInt8]? {
    fields.first { UInt32($0.type) == type }?.value
  }
}
