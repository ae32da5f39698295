// SPDX-License-Identifier: GPL-3.0-or-later
//
// Timeouts in messages of the kernel. libnftnl knows the states of TCP and UDP only, hence the attributes by hand.

internal import CNFTNL
internal import Glibc

extension ConnectionTimeouts {
  /// Writes the object's attributes.
  func put(into message: UnsafeMutablePointer<nlmsghdr>, table: String, name: String, protocolNumber: UInt8) {
    mnl_attr_put_strz(message, UInt16(NFTA_OBJ_TABLE.rawValue), table)
    mnl_attr_put_strz(message, UInt16(NFTA_OBJ_NAME.rawValue), name)
    mnl_attr_put_u32(message, UInt16(NFTA_OBJ_TYPE.rawValue), UInt32(NFT_OBJECT_CT_TIMEOUT).bigEndian)
    let object = mnl_attr_nest_start(message, UInt16(NFTA_OBJ_DATA.rawValue))
    mnl_attr_put_u16(message, UInt16(NFTA_CT_TIMEOUT_L3PROTO.rawValue), UInt16(NFPROTO_IPV4).bigEndian)
    mnl_attr_put_u8(message, UInt16(NFTA_CT_TIMEOUT_L4PROTO.rawValue), protocolNumber)
    let data = mnl_attr_nest_start(message, UInt16(NFTA_CT_TIMEOUT_DATA.rawValue))
    // CTA_TIMEOUT_…: the states count from 1.
    for (index, value) in values.enumerated() { mnl_attr_put_u32(message, UInt16(index + 1), value.bigEndian) }
    mnl_attr_nest_end(message, data)
    mnl_attr_nest_end(message, object)
  }

  /// Reads what the kernel lists.
  init(reading message: UnsafePointer<nlmsghdr>) {
    let length = Int(mnl_nlmsg_get_payload_len(message))
    let start = mnl_nlmsg_get_payload(message)
    let payload = Array(UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : length))
    // The attributes come after the header that all of netfilter's messages have.
    let object = Self.attributes(Self.attributes(payload.dropFirst(4))[UInt16(NFTA_OBJ_DATA.rawValue)] ?? [])
    let states = Self.attributes(object[UInt16(NFTA_CT_TIMEOUT_DATA.rawValue)] ?? [])
    guard object[UInt16(NFTA_CT_TIMEOUT_L3PROTO.rawValue)] == [0, UInt8(NFPROTO_IPV4)],
      let number = object[UInt16(NFTA_CT_TIMEOUT_L4PROTO.rawValue)]?.first
    else {
      self = .unsupported
      return
    }
    let values = states.sorted { $0.key < $1.key }.map { $0.value.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } }
    self.init(protocolNumber: number, values: values)
  }

  /// The attributes in `bytes`, by type; one that runs over the end is left out.
  private static func attributes(_ bytes: ArraySlice<UInt8>) -> [UInt16: ArraySlice<UInt8>] {
    var attributes: [UInt16: ArraySlice<UInt8>] = [:]
    var rest = bytes
    while rest.count >= 4 {
      let header = rest.prefix(4).withUnsafeBytes {
        ($0.loadUnaligned(as: UInt16.self), $0.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
      }
      let length = Int(header.0)
      guard length >= 4, length <= rest.count else { break }
      // The two upper bits of the type only say how to read the value.
      attributes[header.1 & 0x3fff] = rest.prefix(length).dropFirst(4)
      rest = rest.dropFirst((length + 3) & ~3)
    }
    return attributes
  }
}
