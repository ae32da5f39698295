// SPDX-License-Identifier: GPL-3.0-or-later
//
// From what the kernel has to what is wanted.
//
// A table whose structure is right (chains with their hooks, types of sets, counters) is changed in place: elements are
// added and removed, a chain with other rules is emptied and filled again; counters keep their readings. Everything else
// makes the table anew. Either way it is one transaction, so that no packet ever meets half a table.

/// One step of a transaction.
public enum Change: Hashable, Sendable {
  /// Makes the table anew, whether or not there is one of that name.
  case replaceTable(Table)
  /// Removes these elements, by key.
  case removeElements(table: String, NamedSet)
  /// Adds these elements.
  case addElements(table: String, NamedSet)
  /// Gives the chain these rules instead of those that it has.
  case replaceRules(table: String, Chain)
}

/// The changes that make `desired` of `observed`, in the order in which they must be applied; none if they are equal.
public func plan(from observed: Table?, to desired: Table) -> [Change] {
  guard let observed, observed.structure == desired.structure else { return [.replaceTable(desired)] }
  var removals: [Change] = []
  var additions: [Change] = []
  for (old, new) in zip(observed.sets, desired.sets) where old != new {
    // A key with other data is removed and added.
    var obsolete = old
    obsolete.elements = old.elements.filter { new.elements[$0.key] != $0.value }
    var missing = new
    missing.elements = new.elements.filter { old.elements[$0.key] != $0.value }
    if !obsolete.elements.isEmpty { removals.append(.removeElements(table: desired.name, obsolete)) }
    if !missing.elements.isEmpty { additions.append(.addElements(table: desired.name, missing)) }
  }
  let chains = zip(observed.chains, desired.chains).filter { $0 != $1 }
  return removals + additions + chains.map { .replaceRules(table: desired.name, $1) }
}

extension Table {
  /// The table without what can be changed in place.
  fileprivate var structure: Table {
    let sets = sets.map { set in
      var set = set
      set.elements = [:]
      return set
    }
    let chains = chains.map { chain in
      var chain = chain
      chain.rules = []
      return chain
    }
    return Table(
      name: name, comment: comment, counters: counters, timeouts: timeouts, sets: sets, chains: chains, flags: flags)
  }
}
