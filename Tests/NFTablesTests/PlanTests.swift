// SPDX-License-Identifier: GPL-3.0-or-later
//
// From one table to another, without a kernel.

import NFTables
import Testing

@Suite struct PlanTests {
  static func table(
    keys: [UInt8] = [1, 2], data: UInt8 = 9, drops: Bool = false, priority: Int32 = 0, counters: Set<String> = ["c"]
  ) -> Table {
    Table(
      name: "t", counters: counters,
      sets: [
        NamedSet(name: "set", of: .port, keys.map { [0, $0] }),
        NamedSet(name: "map", from: .port, to: .port, [[0, 1]: [0, data], [0, 7]: [0, 7]]),
      ],
      chains: [
        Chain(name: "called", rules: [Rule([.verdict(drops ? .drop : .accept)], comment: "decides")]),
        Chain(
          name: "entry", base: BaseChain(hook: .input, priority: priority),
          rules: [Rule([.verdict(.jump("called"))])]),
      ])
  }

  @Test func equalTablesNeedNothing() {
    #expect(plan(from: Self.table(), to: Self.table(keys: [2, 1, 2])) == [])
  }

  @Test func aMissingTableIsMade() {
    #expect(plan(from: nil, to: Self.table()) == [.replaceTable(Self.table())])
  }

  @Test func elementsAreAddedAndRemoved() {
    #expect(
      plan(from: Self.table(keys: [1, 2]), to: Self.table(keys: [2, 3]))
        == [
          .removeElements(table: "t", NamedSet(name: "set", of: .port, [[0, 1]])),
          .addElements(table: "t", NamedSet(name: "set", of: .port, [[0, 3]])),
        ])
  }

  @Test func anElementWithOtherDataIsRemovedFirst() {
    func map(_ data: UInt8) -> NamedSet { NamedSet(name: "map", from: .port, to: .port, [[0, 1]: [0, data]]) }
    #expect(
      plan(from: Self.table(data: 9), to: Self.table(data: 8))
        == [.removeElements(table: "t", map(9)), .addElements(table: "t", map(8))])
  }

  @Test func onlyTheChainWithOtherRulesIsFilledAgain() {
    #expect(
      plan(from: Self.table(), to: Self.table(drops: true))
        == [
          .replaceRules(table: "t", Chain(name: "called", rules: [Rule([.verdict(.drop)], comment: "decides")]))
        ])
  }

  @Test(arguments: [
    table(priority: 1), table(counters: ["c", "d"]), table(counters: []),
    Table(name: "t", counters: ["c"], sets: table().sets, chains: [table().chains[0]]),
    Table(name: "t", counters: ["c"], sets: [table().sets[0]], chains: table().chains),
    Table(name: "t", comment: "other", counters: ["c"], sets: table().sets, chains: table().chains),
  ])
  func anotherStructureMakesTheTableAnew(desired: Table) {
    #expect(plan(from: Self.table(), to: desired) == [.replaceTable(desired)])
    #expect(plan(from: desired, to: Self.table()) == [.replaceTable(Self.table())])
  }

  @Test func theOrderOfPartsHasNoMeaning() {
    let table = Self.table()
    let other = Table(
      name: "t", counters: table.counters, sets: table.sets.reversed(), chains: table.chains.reversed())
    #expect(table == other)
  }
}
