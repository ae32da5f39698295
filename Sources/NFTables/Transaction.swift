// SPDX-License-Identifier: GPL-3.0-or-later
//
// A transaction: messages between a begin and an end mark, of which the kernel applies all or none. Each step knows in
// words what it does, so that an error of the kernel, which only names a sequence number, becomes a sentence.

internal import CNFTNL
internal import Glibc

/// The bytes of a transaction and what its steps mean.
struct Transaction {
  /// Enough for the largest message: attributes that nest cannot be longer than 64 KiB.
  private static let messageSize = 1 << 17
  /// An element takes at most 64 bytes, so that so many of them stay well below the 64 KiB of their nesting attribute.
  private static let elementsPerMessage = 500

  private var steps: [(message: [UInt8], action: String)] = []

  /// The number of the first message, the begin mark; the others count on from there.
  var firstSequence: UInt32 = 0

  init(_ changes: [Change]) throws(NFTablesError) {
    for change in changes { try append(change) }
  }

  /// A transaction that deletes a table, which fails if there is none.
  static func deleting(table: String) throws(NFTablesError) -> Transaction {
    var transaction = try Transaction([])
    try transaction.deleteTable(table)
    return transaction
  }

  /// How many sequence numbers the transaction takes.
  var length: UInt32 { UInt32(steps.count) + 2 }

  /// The sequence number of the last step, which is the one that is always answered.
  var lastStep: UInt32 { firstSequence &+ UInt32(steps.count) }

  /// What the step with that number does, or nothing if it is not ours. The marks stand for the commit.
  func action(sequence: UInt32) -> String? {
    let index = sequence &- firstSequence
    guard index < length else { return nil }
    let step = Int(index) - 1
    return steps.indices.contains(step) ? steps[step].action : "committing the changes of the ruleset"
  }

  /// The transaction as it is sent.
  var bytes: [UInt8] {
    var bytes = mark { nftnl_batch_begin($0, firstSequence) }
    for (index, step) in steps.enumerated() {
      var message = step.message
      let isLast = index == steps.count - 1
      message.withUnsafeMutableBytes {
        let header = $0.assumingMemoryBound(to: nlmsghdr.self)
        header[0].nlmsg_seq = firstSequence &+ UInt32(index) &+ 1
        if isLast { header[0].nlmsg_flags |= UInt16(NLM_F_ACK) }
      }
      bytes += message
    }
    return bytes + mark { nftnl_batch_end($0, firstSequence &+ UInt32(steps.count) &+ 1) }
  }

  private func mark(_ build: (UnsafeMutablePointer<CChar>?) -> UnsafeMutablePointer<nlmsghdr>?) -> [UInt8] {
    var buffer = [UInt64](repeating: 0, count: 32)
    return buffer.withUnsafeMutableBytes { buffer in
      let header = build(buffer.assumingMemoryBound(to: CChar.self).baseAddress)
      return Array(buffer.prefix(Int(header?.pointee.nlmsg_len ?? 0)))
    }
  }

  private mutating func append(_ change: Change) throws(NFTablesError) {
    switch change {
    case .replaceTable(let table):
      // Deleting needs a table to be there, hence the first of the three.
      try addTable(Table(name: table.name))
      try deleteTable(table.name)
      try addTable(table)
      for counter in table.counters.sorted() { try addCounter(counter, to: table.name) }
      for (name, timeouts) in table.timeouts.sorted(by: { $0.key < $1.key }) {
        try addTimeouts(timeouts, named: name, to: table.name)
      }
      for set in table.sets { try addSet(set, to: table.name) }
      // Rules may lead to chains that come later, and name sets and counters.
      for chain in table.chains { try addChain(chain, to: table.name) }
      for set in table.sets { try changeElements(.add, of: set, in: table.name) }
      for chain in table.chains { try addRules(of: chain, in: table.name) }
    case .removeElements(let table, let set):
      try changeElements(.delete, of: set, in: table)
    case .addElements(let table, let set):
      try changeElements(.add, of: set, in: table)
    case .replaceRules(let table, let chain):
      try flush(chain, in: table)
      try addRules(of: chain, in: table)
    }
  }

  // MARK: Steps

  private mutating func append(
    _ type: nf_tables_msg_types, _ action: String, flags: Int32 = NLM_F_CREATE,
    payload: (UnsafeMutablePointer<nlmsghdr>) -> Void
  ) throws(NFTablesError) {
    steps.append((try encodeMessage(type, flags: flags, size: Self.messageSize, payload: payload), action))
  }

  private mutating func addTable(_ table: Table) throws(NFTablesError) {
    let action = "adding table inet \(table.name)"
    let object = try CObject(action, nftnl_table_alloc(), free: nftnl_table_free)
    nftnl_table_set_str(object.pointer, UInt16(NFTNL_TABLE_NAME.rawValue), table.name)
    nftnl_table_set_u32(object.pointer, UInt16(NFTNL_TABLE_FLAGS.rawValue), table.flags)
    if let comment = table.comment {
      try UserData.comment(comment, type: NFTNL_UDATA_TABLE_COMMENT.rawValue, action).withBytes {
        nftnl_table_set_data(object.pointer, UInt16(NFTNL_TABLE_USERDATA.rawValue), $0, $1)
      }
    }
    try append(NFT_MSG_NEWTABLE, action) { nftnl_table_nlmsg_build_payload($0, object.pointer) }
  }

  private mutating func deleteTable(_ name: String) throws(NFTablesError) {
    let action = "deleting table inet \(name)"
    let object = try CObject(action, nftnl_table_alloc(), free: nftnl_table_free)
    nftnl_table_set_str(object.pointer, UInt16(NFTNL_TABLE_NAME.rawValue), name)
    try append(NFT_MSG_DELTABLE, action, flags: 0) { nftnl_table_nlmsg_build_payload($0, object.pointer) }
  }

  private mutating func addCounter(_ name: String, to table: String) throws(NFTablesError) {
    let action = "adding counter \(name) to table inet \(table)"
    let object = try CObject(action, nftnl_obj_alloc(), free: nftnl_obj_free)
    nftnl_obj_set_str(object.pointer, UInt16(NFTNL_OBJ_TABLE), table)
    nftnl_obj_set_str(object.pointer, UInt16(NFTNL_OBJ_NAME), name)
    nftnl_obj_set_u32(object.pointer, UInt16(NFTNL_OBJ_TYPE), UInt32(NFT_OBJECT_COUNTER))
    try append(NFT_MSG_NEWOBJ, action) { nftnl_obj_nlmsg_build_payload($0, object.pointer) }
  }

  private mutating func addTimeouts(
    _ timeouts: ConnectionTimeouts, named name: String, to table: String
  ) throws(NFTablesError) {
    let action = "adding timeouts \(name) to table inet \(table)"
    guard let number = timeouts.protocolNumber else { throw NFTablesError(action, code: EOPNOTSUPP) }
    try append(NFT_MSG_NEWOBJ, action) { timeouts.put(into: $0, table: table, name: name, protocolNumber: number) }
  }

  private mutating func addSet(_ set: NamedSet, to table: String) throws(NFTablesError) {
    let action = "adding set \(set.name) to table inet \(table)"
    let object = try CObject(action, nftnl_set_alloc(), free: nftnl_set_free)
    func put(_ attribute: nftnl_set_attr, _ value: UInt32) {
      nftnl_set_set_u32(object.pointer, UInt16(attribute.rawValue), value)
    }
    nftnl_set_set_str(object.pointer, UInt16(NFTNL_SET_TABLE.rawValue), table)
    nftnl_set_set_str(object.pointer, UInt16(NFTNL_SET_NAME.rawValue), set.name)
    put(NFTNL_SET_FAMILY, UInt32(NFPROTO_INET))
    // A number that is unique in the transaction; the kernel insists on one.
    put(NFTNL_SET_ID, UInt32(steps.count) + 1)
    put(NFTNL_SET_FLAGS, set.flags | (set.data == nil ? 0 : UInt32(NFT_SET_MAP.rawValue)))
    put(NFTNL_SET_KEY_TYPE, set.key.identifier)
    put(NFTNL_SET_KEY_LEN, set.key.length)
    if let data = set.data {
      put(NFTNL_SET_DATA_TYPE, data.identifier)
      put(NFTNL_SET_DATA_LEN, data.length)
    }
    if let dynamic = set.dynamic {
      put(NFTNL_SET_FLAGS, set.flags | NamedSet.dynamicFlags | (set.data == nil ? 0 : UInt32(NFT_SET_MAP.rawValue)))
      put(NFTNL_SET_DESC_SIZE, DynamicSet.size)
      nftnl_set_set_u64(object.pointer, UInt16(NFTNL_SET_TIMEOUT.rawValue), UInt64(dynamic.timeout) * 1000)
    }
    try UserData.description(of: set, action).withBytes {
      nftnl_set_set_data(object.pointer, UInt16(NFTNL_SET_USERDATA.rawValue), $0, $1)
    }
    try append(NFT_MSG_NEWSET, action) { nftnl_set_nlmsg_build_payload($0, object.pointer) }
  }

  private enum ElementChange {
    case add, delete
  }

  private mutating func changeElements(
    _ change: ElementChange, of set: NamedSet, in table: String
  ) throws(NFTablesError) {
    let verb = change == .add ? "adding elements to" : "removing elements from"
    let action = "\(verb) set \(set.name) of table inet \(table)"
    var rest = Array(set.elements)[...]
    while !rest.isEmpty {
      let object = try CObject(action, nftnl_set_alloc(), free: nftnl_set_free)
      nftnl_set_set_str(object.pointer, UInt16(NFTNL_SET_TABLE.rawValue), table)
      nftnl_set_set_str(object.pointer, UInt16(NFTNL_SET_NAME.rawValue), set.name)
      for (key, data) in rest.prefix(Self.elementsPerMessage) {
        guard let element = nftnl_set_elem_alloc() else { throw NFTablesError(action, code: ENOMEM) }
        key.withUnsafeBytes {
          _ = nftnl_set_elem_set(element, UInt16(NFTNL_SET_ELEM_KEY), $0.baseAddress, UInt32($0.count))
        }
        // An element is deleted by its key alone.
        if change == .add, !data.isEmpty {
          data.withUnsafeBytes {
            _ = nftnl_set_elem_set(element, UInt16(NFTNL_SET_ELEM_DATA), $0.baseAddress, UInt32($0.count))
          }
        }
        nftnl_set_elem_add(object.pointer, element)
      }
      rest = rest.dropFirst(Self.elementsPerMessage)
      try append(
        change == .add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, action, flags: change == .add ? NLM_F_CREATE : 0
      ) { nftnl_set_elems_nlmsg_build_payload($0, object.pointer) }
    }
  }

  private mutating func addChain(_ chain: Chain, to table: String) throws(NFTablesError) {
    let action = "adding chain \(chain.name) to table inet \(table)"
    let object = try CObject(action, nftnl_chain_alloc(), free: nftnl_chain_free)
    nftnl_chain_set_str(object.pointer, UInt16(NFTNL_CHAIN_TABLE.rawValue), table)
    nftnl_chain_set_str(object.pointer, UInt16(NFTNL_CHAIN_NAME.rawValue), chain.name)
    if let base = chain.base {
      nftnl_chain_set_str(object.pointer, UInt16(NFTNL_CHAIN_TYPE.rawValue), base.kind.rawValue)
      nftnl_chain_set_u32(object.pointer, UInt16(NFTNL_CHAIN_HOOKNUM.rawValue), base.hook.rawValue)
      nftnl_chain_set_s32(object.pointer, UInt16(NFTNL_CHAIN_PRIO.rawValue), base.priority)
      nftnl_chain_set_u32(
        object.pointer, UInt16(NFTNL_CHAIN_POLICY.rawValue), UInt32(base.dropsByDefault ? NF_DROP : NF_ACCEPT))
    }
    try append(NFT_MSG_NEWCHAIN, action) { nftnl_chain_nlmsg_build_payload($0, object.pointer) }
  }

  private mutating func flush(_ chain: Chain, in table: String) throws(NFTablesError) {
    let action = "removing the rules of chain \(chain.name) of table inet \(table)"
    let object = try CObject(action, nftnl_rule_alloc(), free: nftnl_rule_free)
    nftnl_rule_set_str(object.pointer, UInt16(NFTNL_RULE_TABLE.rawValue), table)
    nftnl_rule_set_str(object.pointer, UInt16(NFTNL_RULE_CHAIN.rawValue), chain.name)
    try append(NFT_MSG_DELRULE, action, flags: 0) { nftnl_rule_nlmsg_build_payload($0, object.pointer) }
  }

  private mutating func addRules(of chain: Chain, in table: String) throws(NFTablesError) {
    for (index, rule) in chain.rules.enumerated() {
      let name = rule.comment.map { "“\($0)”" } ?? "number \(index + 1)"
      let action = "adding rule \(name) to chain \(chain.name) of table inet \(table)"
      let object = try CObject(action, nftnl_rule_alloc(), free: nftnl_rule_free)
      nftnl_rule_set_str(object.pointer, UInt16(NFTNL_RULE_TABLE.rawValue), table)
      nftnl_rule_set_str(object.pointer, UInt16(NFTNL_RULE_CHAIN.rawValue), chain.name)
      for expression in rule.expressions {
        nftnl_rule_add_expr(object.pointer, try expression.encoded(action))
      }
      if let comment = rule.comment {
        try UserData.comment(comment, type: NFTNL_UDATA_RULE_COMMENT.rawValue, action).withBytes {
          nftnl_rule_set_data(object.pointer, UInt16(NFTNL_RULE_USERDATA.rawValue), $0, $1)
        }
      }
      try append(NFT_MSG_NEWRULE, action, flags: NLM_F_CREATE | NLM_F_APPEND) {
        nftnl_rule_nlmsg_build_payload($0, object.pointer)
      }
    }
  }
}
