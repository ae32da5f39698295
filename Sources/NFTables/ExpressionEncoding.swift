// SPDX-License-Identifier: GPL-3.0-or-later
//
// Expressions to libnftnl's objects.

internal import CNFTNL
internal import Glibc

extension Expression {
  /// The expression as an object of libnftnl, which the caller owns.
  func encoded(_ action: String) throws(NFTablesError) -> OpaquePointer {
    guard let kernelName else {
      throw NFTablesError(action, code: EOPNOTSUPP, detail: "there is an expression that routerd does not know")
    }
    guard let pointer = nftnl_expr_alloc(kernelName) else { throw NFTablesError(action, code: ENOMEM) }
    fill(ExpressionObject(pointer: pointer))
    return pointer
  }

  /// The kernel's name of the expression.
  private var kernelName: String? {
    switch self {
    case .meta: "meta"
    case .payload, .writePayload: "payload"
    case .compare: "cmp"
    case .lookup, .map: "lookup"
    case .bitwise: "bitwise"
    case .immediate, .verdict: "immediate"
    case .nat: "nat"
    case .masquerade: "masq"
    case .counter, .timeout: "objref"
    case .update: "dynset"
    case .connection, .connectionEnd: "ct"
    case .route: "rt"
    case .hasExtension, .writeExtension: "exthdr"
    case .hostToNetwork16: "byteorder"
    case .unsupported: nil
    }
  }

  private func fill(_ object: ExpressionObject) {
    switch self {
    case .meta(let key, let register):
      object.put(NFTNL_EXPR_META_KEY, key.rawValue)
      object.put(NFTNL_EXPR_META_DREG, register)
    case .payload(let payload, let register):
      object.put(payload)
      object.put(NFTNL_EXPR_PAYLOAD_DREG, register)
    case .writePayload(let payload, let register, let checksum):
      object.put(payload)
      object.put(NFTNL_EXPR_PAYLOAD_SREG, register)
      object.put(checksum)
    case .compare(let register, let comparison, let value):
      object.put(NFTNL_EXPR_CMP_SREG, register)
      object.put(NFTNL_EXPR_CMP_OP, comparison.rawValue)
      object.put(NFTNL_EXPR_CMP_DATA, value)
    case .lookup(let register, let set, let isInverted):
      object.put(NFTNL_EXPR_LOOKUP_SREG, register)
      object.put(NFTNL_EXPR_LOOKUP_SET, set)
      if isInverted { object.put(NFTNL_EXPR_LOOKUP_FLAGS, UInt32(NFT_LOOKUP_F_INV.rawValue)) }
    case .map(let register, let map, let destination):
      object.put(NFTNL_EXPR_LOOKUP_SREG, register)
      object.put(NFTNL_EXPR_LOOKUP_SET, map)
      object.put(NFTNL_EXPR_LOOKUP_DREG, destination)
    case .bitwise(let register, let destination, let mask, let xor):
      object.put(NFTNL_EXPR_BITWISE_SREG, register)
      object.put(NFTNL_EXPR_BITWISE_DREG, destination)
      object.put(NFTNL_EXPR_BITWISE_OP, UInt32(ROUTERD_NFT_BITWISE_BOOL))
      object.put(NFTNL_EXPR_BITWISE_LEN, UInt32(mask.count))
      object.put(NFTNL_EXPR_BITWISE_MASK, mask)
      object.put(NFTNL_EXPR_BITWISE_XOR, xor)
    case .immediate(let data, let register):
      object.put(NFTNL_EXPR_IMM_DREG, register)
      object.put(NFTNL_EXPR_IMM_DATA, data)
    case .verdict(let verdict):
      object.put(NFTNL_EXPR_IMM_DREG, UInt32(NFT_REG_VERDICT.rawValue))
      object.put(NFTNL_EXPR_IMM_VERDICT, UInt32(bitPattern: verdict.code))
      if case .jump(let chain) = verdict { object.put(NFTNL_EXPR_IMM_CHAIN, chain) }
    case .nat(let nat):
      object.put(nat)
    case .counter(let name):
      object.put(NFTNL_EXPR_OBJREF_IMM_TYPE, UInt32(NFT_OBJECT_COUNTER))
      object.put(NFTNL_EXPR_OBJREF_IMM_NAME, name)
    case .timeout(let name):
      object.put(NFTNL_EXPR_OBJREF_IMM_TYPE, UInt32(NFT_OBJECT_CT_TIMEOUT))
      object.put(NFTNL_EXPR_OBJREF_IMM_NAME, name)
    case .update(let set, let key, let data):
      object.put(NFTNL_EXPR_DYNSET_SET_NAME, set)
      object.put(NFTNL_EXPR_DYNSET_OP, UInt32(NFT_DYNSET_OP_UPDATE.rawValue))
      object.put(NFTNL_EXPR_DYNSET_SREG_KEY, key)
      if let data { object.put(NFTNL_EXPR_DYNSET_SREG_DATA, data) }
    case .connection(let key, let register):
      object.put(NFTNL_EXPR_CT_KEY, key.rawValue)
      object.put(NFTNL_EXPR_CT_DREG, register)
    case .connectionEnd(let end, let direction, let register):
      object.put(NFTNL_EXPR_CT_KEY, end.rawValue)
      nftnl_expr_set_u8(object.pointer, UInt16(NFTNL_EXPR_CT_DIR), direction.rawValue)
      object.put(NFTNL_EXPR_CT_DREG, register)
    case .route(let key, let register):
      object.put(NFTNL_EXPR_RT_KEY, key.rawValue)
      object.put(NFTNL_EXPR_RT_DREG, register)
    case .hasExtension(let header, let register):
      object.put(header)
      object.put(NFTNL_EXPR_EXTHDR_FLAGS, UInt32(NFT_EXTHDR_F_PRESENT.rawValue))
      object.put(NFTNL_EXPR_EXTHDR_DREG, register)
    case .writeExtension(let header, let register):
      object.put(header)
      object.put(NFTNL_EXPR_EXTHDR_SREG, register)
    case .hostToNetwork16(let register, let destination):
      object.put(NFTNL_EXPR_BYTEORDER_SREG, register)
      object.put(NFTNL_EXPR_BYTEORDER_DREG, destination)
      object.put(NFTNL_EXPR_BYTEORDER_OP, UInt32(NFT_BYTEORDER_HTON.rawValue))
      object.put(NFTNL_EXPR_BYTEORDER_LEN, UInt32(2))
      object.put(NFTNL_EXPR_BYTEORDER_SIZE, UInt32(2))
    case .masquerade, .unsupported:
      break
    }
  }
}

extension Verdict {
  /// The kernel's number of the verdict.
  var code: Int32 {
    switch self {
    case .accept: NF_ACCEPT
    case .drop: NF_DROP
    case .return: NFT_RETURN.rawValue
    case .jump: NFT_JUMP.rawValue
    }
  }
}

/// Setters by the type of the value.
private struct ExpressionObject {
  let pointer: OpaquePointer

  func put(_ attribute: Int, _ value: UInt32) {
    nftnl_expr_set_u32(pointer, UInt16(attribute), value)
  }

  func put(_ attribute: Int, _ register: Register) {
    put(attribute, register.rawValue)
  }

  func put(_ attribute: Int, _ text: String) {
    nftnl_expr_set_str(pointer, UInt16(attribute), text)
  }

  func put(_ attribute: Int, _ bytes: [UInt8]) {
    bytes.withUnsafeBytes { _ = nftnl_expr_set(pointer, UInt16(attribute), $0.baseAddress, UInt32($0.count)) }
  }

  func put(_ payload: Payload) {
    put(NFTNL_EXPR_PAYLOAD_BASE, payload.base.rawValue)
    put(NFTNL_EXPR_PAYLOAD_OFFSET, payload.offset)
    put(NFTNL_EXPR_PAYLOAD_LEN, payload.length)
  }

  func put(_ checksum: ChecksumUpdate) {
    switch checksum {
    case .none:
      put(NFTNL_EXPR_PAYLOAD_CSUM_TYPE, UInt32(NFT_PAYLOAD_CSUM_NONE.rawValue))
    case .internet(let offset):
      put(NFTNL_EXPR_PAYLOAD_CSUM_TYPE, UInt32(NFT_PAYLOAD_CSUM_INET.rawValue))
      put(NFTNL_EXPR_PAYLOAD_CSUM_OFFSET, offset)
    case .transport:
      // With this flag the kernel finds the checksum by the packet's protocol, and leaves an unused one alone. The
      // plain way (INET at a fixed offset) turns a UDP checksum of zero into a wrong one, and writing without any
      // checksum is only right for packets whose checksum the network card will fill in.
      put(NFTNL_EXPR_PAYLOAD_CSUM_TYPE, UInt32(NFT_PAYLOAD_CSUM_NONE.rawValue))
      put(NFTNL_EXPR_PAYLOAD_FLAGS, UInt32(NFT_PAYLOAD_L4CSUM_PSEUDOHDR.rawValue))
    }
  }

  func put(_ nat: NAT) {
    put(NFTNL_EXPR_NAT_TYPE, nat.side.rawValue)
    put(NFTNL_EXPR_NAT_FAMILY, UInt32(NFPROTO_IPV4))
    put(NFTNL_EXPR_NAT_REG_ADDR_MIN, nat.address)
    if let ports = nat.ports {
      put(NFTNL_EXPR_NAT_REG_PROTO_MIN, ports.first)
      put(NFTNL_EXPR_NAT_REG_PROTO_MAX, ports.last)
    }
  }

  func put(_ header: ExtensionHeader) {
    put(NFTNL_EXPR_EXTHDR_OP, header.place.rawValue)
    nftnl_expr_set_u8(pointer, UInt16(NFTNL_EXPR_EXTHDR_TYPE), header.number)
    put(NFTNL_EXPR_EXTHDR_OFFSET, header.offset)
    put(NFTNL_EXPR_EXTHDR_LEN, header.length)
  }
}
