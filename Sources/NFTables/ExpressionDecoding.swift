// SPDX-License-Identifier: GPL-3.0-or-later
//
// libnftnl's objects back to expressions. Each expression has one form only: what the kernel adds on its own (the last
// address of a range of one, flags that follow from the registers) is left out again, so that what was written is what
// is read. Anything that routerd never writes is `unsupported`, and thereby different from everything wanted.

internal import CNFTNL

extension Expression {
  /// Decodes an object of libnftnl.
  init(decoding pointer: OpaquePointer) {
    let object = DecodedExpression(pointer: pointer)
    let name = object.text(NFTNL_EXPR_NAME) ?? "nameless"
    self = object.expression(name) ?? .unsupported(name)
  }
}

private struct DecodedExpression {
  let pointer: OpaquePointer

  func expression(_ name: String) -> Expression? {
    switch name {
    case "meta":
      guard !has(NFTNL_EXPR_META_SREG), let register = register(NFTNL_EXPR_META_DREG),
        let key = MetaKey(rawValue: number(NFTNL_EXPR_META_KEY))
      else { return nil }
      return .meta(key, into: register)
    case "payload":
      return payload
    case "cmp":
      guard let register = register(NFTNL_EXPR_CMP_SREG),
        let comparison = Comparison(rawValue: number(NFTNL_EXPR_CMP_OP))
      else { return nil }
      return .compare(register, comparison, bytes(NFTNL_EXPR_CMP_DATA))
    case "lookup":
      return lookup
    case "bitwise":
      guard number(NFTNL_EXPR_BITWISE_OP) == UInt32(ROUTERD_NFT_BITWISE_BOOL),
        let register = register(NFTNL_EXPR_BITWISE_SREG), let destination = self.register(NFTNL_EXPR_BITWISE_DREG)
      else { return nil }
      return .bitwise(
        register, into: destination, mask: bytes(NFTNL_EXPR_BITWISE_MASK), xor: bytes(NFTNL_EXPR_BITWISE_XOR))
    case "immediate":
      return immediate
    case "nat":
      return nat
    case "objref":
      return object
    case "masq":
      guard number(NFTNL_EXPR_MASQ_FLAGS) == 0, !has(NFTNL_EXPR_MASQ_REG_PROTO_MIN) else { return nil }
      return .masquerade
    case "dynset":
      return update
    case "ct":
      return connection
    case "rt":
      guard let register = register(NFTNL_EXPR_RT_DREG), let key = RouteKey(rawValue: number(NFTNL_EXPR_RT_KEY))
      else { return nil }
      return .route(key, into: register)
    case "exthdr":
      return extensionHeader
    case "byteorder":
      guard number(NFTNL_EXPR_BYTEORDER_OP) == UInt32(NFT_BYTEORDER_HTON.rawValue),
        number(NFTNL_EXPR_BYTEORDER_LEN) == 2, number(NFTNL_EXPR_BYTEORDER_SIZE) == 2,
        let register = register(NFTNL_EXPR_BYTEORDER_SREG), let destination = self.register(NFTNL_EXPR_BYTEORDER_DREG)
      else { return nil }
      return .hostToNetwork16(register, into: destination)
    default:
      return nil
    }
  }

  private var object: Expression? {
    guard !has(NFTNL_EXPR_OBJREF_SET_SREG), let name = text(NFTNL_EXPR_OBJREF_IMM_NAME) else { return nil }
    switch number(NFTNL_EXPR_OBJREF_IMM_TYPE) {
    case UInt32(NFT_OBJECT_COUNTER): return .counter(name)
    case UInt32(NFT_OBJECT_CT_TIMEOUT): return .timeout(name)
    default: return nil
    }
  }

  private var update: Expression? {
    guard number(NFTNL_EXPR_DYNSET_OP) == UInt32(NFT_DYNSET_OP_UPDATE.rawValue),
      number(NFTNL_EXPR_DYNSET_FLAGS) == 0, !has(NFTNL_EXPR_DYNSET_EXPR),
      // The set's own timeout is the only one.
      !has(NFTNL_EXPR_DYNSET_TIMEOUT) || nftnl_expr_get_u64(pointer, UInt16(NFTNL_EXPR_DYNSET_TIMEOUT)) == 0,
      let set = text(NFTNL_EXPR_DYNSET_SET_NAME), let key = register(NFTNL_EXPR_DYNSET_SREG_KEY)
    else { return nil }
    guard has(NFTNL_EXPR_DYNSET_SREG_DATA) else { return .update(set: set, key: key, data: nil) }
    return register(NFTNL_EXPR_DYNSET_SREG_DATA).map { .update(set: set, key: key, data: $0) }
  }

  private var connection: Expression? {
    guard !has(NFTNL_EXPR_CT_SREG), let register = register(NFTNL_EXPR_CT_DREG) else { return nil }
    let key = number(NFTNL_EXPR_CT_KEY)
    guard has(NFTNL_EXPR_CT_DIR) else {
      return ConnectionKey(rawValue: key).map { .connection($0, into: register) }
    }
    guard let end = ConnectionEnd(rawValue: key),
      let direction = ConnectionDirection(rawValue: nftnl_expr_get_u8(pointer, UInt16(NFTNL_EXPR_CT_DIR)))
    else { return nil }
    return .connectionEnd(end, direction, into: register)
  }

  private var payload: Expression? {
    guard let base = Payload.Base(rawValue: number(NFTNL_EXPR_PAYLOAD_BASE)) else { return nil }
    let payload = Payload(
      base, offset: number(NFTNL_EXPR_PAYLOAD_OFFSET), length: number(NFTNL_EXPR_PAYLOAD_LEN))
    guard has(NFTNL_EXPR_PAYLOAD_SREG) else {
      return register(NFTNL_EXPR_PAYLOAD_DREG).map { .payload(payload, into: $0) }
    }
    guard let register = register(NFTNL_EXPR_PAYLOAD_SREG) else { return nil }
    let type = number(NFTNL_EXPR_PAYLOAD_CSUM_TYPE)
    let checksum: ChecksumUpdate
    switch number(NFTNL_EXPR_PAYLOAD_FLAGS) {
    case 0 where type == UInt32(NFT_PAYLOAD_CSUM_NONE.rawValue):
      checksum = .none
    case 0 where type == UInt32(NFT_PAYLOAD_CSUM_INET.rawValue):
      checksum = .internet(offset: number(NFTNL_EXPR_PAYLOAD_CSUM_OFFSET))
    case UInt32(NFT_PAYLOAD_L4CSUM_PSEUDOHDR.rawValue) where type == UInt32(NFT_PAYLOAD_CSUM_NONE.rawValue):
      checksum = .transport
    default:
      return nil
    }
    return .writePayload(payload, from: register, checksum: checksum)
  }

  private var lookup: Expression? {
    guard let register = register(NFTNL_EXPR_LOOKUP_SREG), let set = text(NFTNL_EXPR_LOOKUP_SET) else { return nil }
    let flags = number(NFTNL_EXPR_LOOKUP_FLAGS)
    guard has(NFTNL_EXPR_LOOKUP_DREG) else {
      guard flags <= UInt32(NFT_LOOKUP_F_INV.rawValue) else { return nil }
      return .lookup(register, set: set, isInverted: flags != 0)
    }
    guard flags == 0, let destination = self.register(NFTNL_EXPR_LOOKUP_DREG) else { return nil }
    return .map(register, map: set, into: destination)
  }

  private var immediate: Expression? {
    guard number(NFTNL_EXPR_IMM_DREG) == UInt32(NFT_REG_VERDICT.rawValue) else {
      return register(NFTNL_EXPR_IMM_DREG).map { .immediate(bytes(NFTNL_EXPR_IMM_DATA), into: $0) }
    }
    switch Int32(bitPattern: number(NFTNL_EXPR_IMM_VERDICT)) {
    case NF_ACCEPT: return .verdict(.accept)
    case NF_DROP: return .verdict(.drop)
    case NFT_RETURN.rawValue: return .verdict(.return)
    case NFT_JUMP.rawValue: return text(NFTNL_EXPR_IMM_CHAIN).map { .verdict(.jump($0)) }
    default: return nil
    }
  }

  private var nat: Expression? {
    // NF_NAT_RANGE_MAP_IPS and NF_NAT_RANGE_PROTO_SPECIFIED only say which registers are given.
    let implied = UInt32(NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED)
    guard let side = NAT.Side(rawValue: number(NFTNL_EXPR_NAT_TYPE)),
      number(NFTNL_EXPR_NAT_FAMILY) == UInt32(NFPROTO_IPV4), number(NFTNL_EXPR_NAT_FLAGS) & ~implied == 0,
      let address = register(NFTNL_EXPR_NAT_REG_ADDR_MIN),
      !has(NFTNL_EXPR_NAT_REG_ADDR_MAX) || register(NFTNL_EXPR_NAT_REG_ADDR_MAX) == address
    else { return nil }
    guard has(NFTNL_EXPR_NAT_REG_PROTO_MIN) else { return .nat(NAT(side, address: address)) }
    guard let first = register(NFTNL_EXPR_NAT_REG_PROTO_MIN), let last = register(NFTNL_EXPR_NAT_REG_PROTO_MAX)
    else { return nil }
    return .nat(NAT(side, address: address, ports: .init(first: first, last: last)))
  }

  private var extensionHeader: Expression? {
    guard let place = ExtensionHeader.Place(rawValue: number(NFTNL_EXPR_EXTHDR_OP)) else { return nil }
    let header = ExtensionHeader(
      place, number: nftnl_expr_get_u8(pointer, UInt16(NFTNL_EXPR_EXTHDR_TYPE)),
      offset: number(NFTNL_EXPR_EXTHDR_OFFSET), length: number(NFTNL_EXPR_EXTHDR_LEN))
    if has(NFTNL_EXPR_EXTHDR_SREG) {
      return register(NFTNL_EXPR_EXTHDR_SREG).map { .writeExtension(header, from: $0) }
    }
    guard number(NFTNL_EXPR_EXTHDR_FLAGS) == UInt32(NFT_EXTHDR_F_PRESENT.rawValue) else { return nil }
    return register(NFTNL_EXPR_EXTHDR_DREG).map { .hasExtension(header, into: $0) }
  }

  // MARK: Attributes

  func has(_ attribute: Int) -> Bool {
    nftnl_expr_is_set(pointer, UInt16(attribute))
  }

  /// The number, or 0 if it is not there.
  func number(_ attribute: Int) -> UInt32 {
    has(attribute) ? nftnl_expr_get_u32(pointer, UInt16(attribute)) : 0
  }

  func register(_ attribute: Int) -> Register? {
    has(attribute) ? Register(rawValue: number(attribute)) : nil
  }

  func text(_ attribute: Int) -> String? {
    nftnl_expr_get_str(pointer, UInt16(attribute)).map { String(cString: $0) }
  }

  func bytes(_ attribute: Int) -> [UInt8] {
    var length: UInt32 = 0
    guard let start = nftnl_expr_get(pointer, UInt16(attribute), &length) else { return [] }
    return Array(UnsafeRawBufferPointer(start: start, count: Int(length)))
  }
}
