// SPDX-License-Identifier: GPL-3.0-or-later
//
// The kernel's listings, as values. A listing that the kernel says was disturbed throws EINTR.
//
// What rules have put into dynamic sets is not read: it is traffic's doing and nobody's to repair.

internal import CNFTNL
internal import Glibc

/// Reads what nf_tables has.
struct Listing {
  let channel: NetfilterChannel

  /// The number of the ruleset's generation.
  func generation() throws(NFTablesError) -> UInt32 {
    let action = "reading the generation of the ruleset"
    let object = try CObject(action, nftnl_gen_alloc(), free: nftnl_gen_free)
    try list(action, NFT_MSG_GETGEN, flags: NLM_F_ACK, family: Int(NFPROTO_UNSPEC)) { _ in
    } handle: { (header) throws(NFTablesError) in
      try check(action, nftnl_gen_nlmsg_parse(header, object.pointer))
    }
    return nftnl_gen_get_u32(object.pointer, UInt16(NFTNL_GEN_ID))
  }

  /// The table, or nothing if there is none.
  func table(named name: String) throws(NFTablesError) -> Table? {
    let action = "reading table inet \(name)"
    let query = try CObject(action, nftnl_table_alloc(), free: nftnl_table_free)
    nftnl_table_set_str(query.pointer, UInt16(NFTNL_TABLE_NAME.rawValue), name)
    var found: (flags: UInt32, comment: String?)?
    do throws(NFTablesError) {
      try list(action, NFT_MSG_GETTABLE, flags: NLM_F_ACK) {
        nftnl_table_nlmsg_build_payload($0, query.pointer)
      } handle: { (header) throws(NFTablesError) in
        let object = try CObject(action, nftnl_table_alloc(), free: nftnl_table_free)
        try check(action, nftnl_table_nlmsg_parse(header, object.pointer))
        let data = bytes { nftnl_table_get_data(object.pointer, UInt16(NFTNL_TABLE_USERDATA.rawValue), $0) }
        found = (
          nftnl_table_get_u32(object.pointer, UInt16(NFTNL_TABLE_FLAGS.rawValue)),
          UserData(data).text(type: NFTNL_UDATA_TABLE_COMMENT.rawValue)
        )
      }
    } catch  where error.code == ENOENT {
      return nil
    }
    guard let found else { return nil }
    let rules = try rules(of: name)
    let chains = try chains(of: name).map { Chain(name: $0.name, base: $0.base, rules: rules[$0.name] ?? []) }
    return Table(
      name: name, comment: found.comment, counters: Set(try counters(of: name).keys),
      timeouts: try timeouts(of: name), sets: try sets(of: name), chains: chains, flags: found.flags)
  }

  /// The readings of the table's counters.
  func counters(of table: String) throws(NFTablesError) -> [String: CounterReading] {
    var counters: [String: CounterReading] = [:]
    let action = "reading the counters of table inet \(table)"
    try objects(action, of: table, type: UInt32(NFT_OBJECT_COUNTER)) { name, object, _ in
      counters[name] = CounterReading(
        packets: nftnl_obj_get_u64(object, UInt16(NFTNL_OBJ_CTR_PKTS)),
        bytes: nftnl_obj_get_u64(object, UInt16(NFTNL_OBJ_CTR_BYTES)))
    }
    return counters
  }

  private func timeouts(of table: String) throws(NFTablesError) -> [String: ConnectionTimeouts] {
    var timeouts: [String: ConnectionTimeouts] = [:]
    let action = "reading the timeouts of table inet \(table)"
    try objects(action, of: table, type: UInt32(NFT_OBJECT_CT_TIMEOUT)) { name, _, message in
      timeouts[name] = ConnectionTimeouts(reading: message)
    }
    return timeouts
  }

  private func objects(
    _ action: String, of table: String, type: UInt32,
    handle: (String, OpaquePointer, UnsafePointer<nlmsghdr>) -> Void
  ) throws(NFTablesError) {
    let query = try CObject(action, nftnl_obj_alloc(), free: nftnl_obj_free)
    nftnl_obj_set_str(query.pointer, UInt16(NFTNL_OBJ_TABLE), table)
    nftnl_obj_set_u32(query.pointer, UInt16(NFTNL_OBJ_TYPE), type)
    try list(action, NFT_MSG_GETOBJ, flags: NLM_F_DUMP) {
      nftnl_obj_nlmsg_build_payload($0, query.pointer)
    } handle: { (header) throws(NFTablesError) in
      let object = try CObject(action, nftnl_obj_alloc(), free: nftnl_obj_free)
      try check(action, nftnl_obj_nlmsg_parse(header, object.pointer))
      // Kernels may list more than was asked for.
      guard text(nftnl_obj_get_str(object.pointer, UInt16(NFTNL_OBJ_TABLE))) == table,
        nftnl_obj_get_u32(object.pointer, UInt16(NFTNL_OBJ_TYPE)) == type,
        let name = text(nftnl_obj_get_str(object.pointer, UInt16(NFTNL_OBJ_NAME)))
      else { return }
      handle(name, object.pointer, header)
    }
  }

  private func chains(of table: String) throws(NFTablesError) -> [Chain] {
    let action = "reading the chains of table inet \(table)"
    var chains: [Chain] = []
    try list(action, NFT_MSG_GETCHAIN, flags: NLM_F_DUMP) { _ in
    } handle: { (header) throws(NFTablesError) in
      let object = try CObject(action, nftnl_chain_alloc(), free: nftnl_chain_free)
      try check(action, nftnl_chain_nlmsg_parse(header, object.pointer))
      func number(_ attribute: nftnl_chain_attr) -> UInt32 {
        nftnl_chain_get_u32(object.pointer, UInt16(attribute.rawValue))
      }
      guard text(nftnl_chain_get_str(object.pointer, UInt16(NFTNL_CHAIN_TABLE.rawValue))) == table,
        let name = text(nftnl_chain_get_str(object.pointer, UInt16(NFTNL_CHAIN_NAME.rawValue)))
      else { return }
      var base: BaseChain?
      if nftnl_chain_is_set(object.pointer, UInt16(NFTNL_CHAIN_HOOKNUM.rawValue)) {
        // A hook or type that routerd never uses counts as no hook: it is not what is wanted either way.
        if let hook = BaseChain.Hook(rawValue: number(NFTNL_CHAIN_HOOKNUM)),
          let type = text(nftnl_chain_get_str(object.pointer, UInt16(NFTNL_CHAIN_TYPE.rawValue))),
          let kind = BaseChain.Kind(rawValue: type)
        {
          base = BaseChain(
            hook: hook, priority: nftnl_chain_get_s32(object.pointer, UInt16(NFTNL_CHAIN_PRIO.rawValue)), kind: kind,
            dropsByDefault: number(NFTNL_CHAIN_POLICY) == UInt32(NF_DROP))
        }
      }
      chains.append(Chain(name: name, base: base, rules: []))
    }
    return chains
  }

  /// The rules by the name of their chain.
  private func rules(of table: String) throws(NFTablesError) -> [String: [Rule]] {
    let action = "reading the rules of table inet \(table)"
    let query = try CObject(action, nftnl_rule_alloc(), free: nftnl_rule_free)
    nftnl_rule_set_str(query.pointer, UInt16(NFTNL_RULE_TABLE.rawValue), table)
    var rules: [String: [Rule]] = [:]
    try list(action, NFT_MSG_GETRULE, flags: NLM_F_DUMP) {
      nftnl_rule_nlmsg_build_payload($0, query.pointer)
    } handle: { (header) throws(NFTablesError) in
      let object = try CObject(action, nftnl_rule_alloc(), free: nftnl_rule_free)
      try check(action, nftnl_rule_nlmsg_parse(header, object.pointer))
      guard text(nftnl_rule_get_str(object.pointer, UInt16(NFTNL_RULE_TABLE.rawValue))) == table,
        let chain = text(nftnl_rule_get_str(object.pointer, UInt16(NFTNL_RULE_CHAIN.rawValue)))
      else { return }
      let data = bytes { nftnl_rule_get_data(object.pointer, UInt16(NFTNL_RULE_USERDATA.rawValue), $0) }
      rules[chain, default: []].append(
        Rule(
          try expressions(action, of: object.pointer),
          comment: UserData(data).text(type: NFTNL_UDATA_RULE_COMMENT.rawValue)))
    }
    return rules
  }

  private func expressions(_ action: String, of rule: OpaquePointer) throws(NFTablesError) -> [Expression] {
    let iterator = try CObject(action, nftnl_expr_iter_create(rule), free: nftnl_expr_iter_destroy)
    var expressions: [Expression] = []
    while let expression = nftnl_expr_iter_next(iterator.pointer) {
      expressions.append(Expression(decoding: expression))
    }
    return expressions
  }

  private func sets(of table: String) throws(NFTablesError) -> [NamedSet] {
    let action = "reading the sets of table inet \(table)"
    let query = try CObject(action, nftnl_set_alloc(), free: nftnl_set_free)
    nftnl_set_set_str(query.pointer, UInt16(NFTNL_SET_TABLE.rawValue), table)
    var sets: [NamedSet] = []
    try list(action, NFT_MSG_GETSET, flags: NLM_F_DUMP) {
      nftnl_set_nlmsg_build_payload($0, query.pointer)
    } handle: { (header) throws(NFTablesError) in
      let object = try CObject(action, nftnl_set_alloc(), free: nftnl_set_free)
      try check(action, nftnl_set_nlmsg_parse(header, object.pointer))
      guard text(nftnl_set_get_str(object.pointer, UInt16(NFTNL_SET_TABLE.rawValue))) == table,
        let name = text(nftnl_set_get_str(object.pointer, UInt16(NFTNL_SET_NAME.rawValue)))
      else { return }
      let userData = UserData(
        bytes { nftnl_set_get_data(object.pointer, UInt16(NFTNL_SET_USERDATA.rawValue), $0) })
      func type(_ identifier: nftnl_set_attr, _ length: nftnl_set_attr, _ order: nftnl_udata_set_types) -> DataType {
        DataType(
          identifier: nftnl_set_get_u32(object.pointer, UInt16(identifier.rawValue)),
          length: nftnl_set_get_u32(object.pointer, UInt16(length.rawValue)),
          isHostOrder: userData.isHostOrder(type: order.rawValue))
      }
      var flags = nftnl_set_get_u32(object.pointer, UInt16(NFTNL_SET_FLAGS.rawValue))
      let map = UInt32(NFT_SET_MAP.rawValue)
      var dynamic: DynamicSet?
      if flags & NamedSet.dynamicFlags == NamedSet.dynamicFlags {
        flags &= ~NamedSet.dynamicFlags
        let timeout = nftnl_set_get_u64(object.pointer, UInt16(NFTNL_SET_TIMEOUT.rawValue)) / 1000
        dynamic = DynamicSet(
          timeout: UInt32(truncatingIfNeeded: timeout),
          comment: userData.text(type: NFTNL_UDATA_SET_COMMENT.rawValue) ?? "")
      }
      sets.append(
        NamedSet(
          name: name, key: type(NFTNL_SET_KEY_TYPE, NFTNL_SET_KEY_LEN, NFTNL_UDATA_SET_KEYBYTEORDER),
          data: flags & map == 0
            ? nil : type(NFTNL_SET_DATA_TYPE, NFTNL_SET_DATA_LEN, NFTNL_UDATA_SET_DATABYTEORDER),
          dynamic: dynamic, elements: [:], flags: flags & ~map))
    }
    for index in sets.indices where sets[index].dynamic == nil {
      sets[index].elements = try elements(of: sets[index].name, in: table)
    }
    return sets
  }

  private func elements(of set: String, in table: String) throws(NFTablesError) -> [[UInt8]: [UInt8]] {
    let action = "reading set \(set) of table inet \(table)"
    let object = try CObject(action, nftnl_set_alloc(), free: nftnl_set_free)
    nftnl_set_set_str(object.pointer, UInt16(NFTNL_SET_TABLE.rawValue), table)
    nftnl_set_set_str(object.pointer, UInt16(NFTNL_SET_NAME.rawValue), set)
    try list(action, NFT_MSG_GETSETELEM, flags: NLM_F_DUMP) {
      nftnl_set_elems_nlmsg_build_payload($0, object.pointer)
    } handle: { (header) throws(NFTablesError) in
      try check(action, nftnl_set_elems_nlmsg_parse(header, object.pointer))
    }
    var elements: [[UInt8]: [UInt8]] = [:]
    let iterator = try CObject(
      action, nftnl_set_elems_iter_create(object.pointer), free: nftnl_set_elems_iter_destroy)
    while let element = nftnl_set_elems_iter_next(iterator.pointer) {
      func field(_ attribute: Int) -> [UInt8] {
        guard nftnl_set_elem_is_set(element, UInt16(attribute)) else { return [] }
        return bytes { nftnl_set_elem_get(element, UInt16(attribute), $0) }
      }
      elements[field(NFTNL_SET_ELEM_KEY)] = field(NFTNL_SET_ELEM_DATA)
    }
    return elements
  }

  // MARK: Helpers

  private func list(
    _ action: String, _ type: nf_tables_msg_types, flags: Int32, family: Int = Int(NFPROTO_INET),
    payload: (UnsafeMutablePointer<nlmsghdr>) -> Void,
    handle: (UnsafePointer<nlmsghdr>) throws(NFTablesError) -> Void
  ) throws(NFTablesError) {
    let sequence = channel.reserveSequence()
    let message = try encodeMessage(type, flags: flags, sequence: sequence, family: family, payload: payload)
    guard try channel.request(action, message, sequence: sequence, handle: handle) == .complete else {
      throw NFTablesError(action, code: EINTR)
    }
  }

  private func check(_ action: String, _ status: Int32) throws(NFTablesError) {
    guard status >= 0 else { throw NFTablesError(action, code: EBADMSG) }
  }

  private func text(_ pointer: UnsafePointer<CChar>?) -> String? {
    pointer.map { String(cString: $0) }
  }

  private func bytes(_ get: (UnsafeMutablePointer<UInt32>) -> UnsafeRawPointer?) -> [UInt8] {
    var length: UInt32 = 0
    guard let start = get(&length) else { return [] }
    return Array(UnsafeRawBufferPointer(start: start, count: Int(length)))
  }
}

extension NamedSet {
  /// The kernel's flags of a dynamic set.
  static let dynamicFlags = UInt32(NFT_SET_EVAL.rawValue | NFT_SET_TIMEOUT.rawValue)
}
