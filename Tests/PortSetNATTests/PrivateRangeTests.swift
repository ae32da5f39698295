// SPDX-License-Identifier: GPL-3.0-or-later
//
// The private range for every layout of port sets that exists.

import PortSetNAT
import RouterKit
import Testing

@Suite struct PrivateRangeTests {
  /// The PSIDs 0, 1, one in the middle and the last one of that length.
  static func sets(offset: Int, length: Int) -> [PortSet] {
    let last = (1 << length) - 1
    return Set([0, min(1, last), last / 2, last]).sorted().compactMap {
      PortSet(psidOffset: offset, psidLength: length, psid: UInt16($0))
    }
  }

  @Test(arguments: 0...15) func everyLayoutHasAsManyPrivatePortsAsRealOnes(offset: Int) throws {
    for length in 0...(16 - offset) {
      for set in Self.sets(offset: offset, length: length) {
        let ports = set.ports
        guard !ports.isEmpty else {
          #expect(PrivateRange(for: set) == nil)
          continue
        }
        let range = try #require(PrivateRange(for: set), "\(offset), \(length), \(set.psid)")
        #expect(range.ports.count == ports.count)
        #expect(range.realPorts == ports)
        #expect(range.ports.lowerBound > 0)
      }
    }
  }

  @Test func slotsAreOneToOneAndInOrder() throws {
    for set in [(4, 8, 65), (6, 6, 63), (6, 6, 0), (5, 5, 31), (6, 4, 3)] {
      let set = try #require(PortSet(psidOffset: set.0, psidLength: set.1, psid: UInt16(set.2)))
      let range = try #require(PrivateRange(for: set))
      #expect(range.slots.map(\.real) == set.ports)
      #expect(range.slots.map(\.private) == Array(range.ports))
      #expect(range.slots.allSatisfy { range.realPort(forPrivate: $0.private) == $0.real })
      #expect(range.realPort(forPrivate: range.ports.lowerBound - 1) == nil)
    }
  }

  @Test func theRangeKeepsClearOfTheSetWhereTheGapIsLargeEnough() throws {
    for offset in 1...8 {
      for length in offset...(16 - offset) {
        for set in Self.sets(offset: offset, length: length) where set.blocks.count > 1 {
          let range = try #require(PrivateRange(for: set))
          #expect(!set.ports.contains { range.ports.contains($0) }, "\(offset), \(length), \(set.psid)")
          #expect(range.ports.lowerBound == set.blocks[0].upperBound + 1)
          #expect(!range.isIdentity)
        }
      }
    }
  }

  @Test func knownLines() throws {
    // BIGLOBE's layout: 240 ports, the first block is 5136–5151.
    let small = try #require(PortSet(psidOffset: 4, psidLength: 8, psid: 65).flatMap { PrivateRange(for: $0) })
    #expect(small.ports == 5152...5391)
    // OCN's: the gap holds exactly the 1008 ports.
    let large = try #require(PortSet(psidOffset: 6, psidLength: 6, psid: 7).flatMap { PrivateRange(for: $0) })
    #expect(large.ports == 1152...2159)
    #expect(large.realPorts.contains(2160))
  }

  @Test func aContiguousSetIsItsOwnRange() throws {
    for (offset, length, psid) in [(0, 8, 52), (0, 8, 0), (1, 8, 3), (4, 0, 0), (0, 0, 0)] {
      let set = try #require(PortSet(psidOffset: offset, psidLength: length, psid: UInt16(psid)))
      let range = try #require(PrivateRange(for: set))
      #expect(range.isIdentity, "\(offset), \(length), \(psid)")
      #expect(Array(range.ports) == set.ports)
    }
  }

  @Test func withoutAGapTheRangeEndsAtTheTop() throws {
    let set = try #require(PortSet(psidOffset: 6, psidLength: 4, psid: 3))
    let range = try #require(PrivateRange(for: set))
    #expect(range.ports.upperBound == 65535)
    #expect(range.ports.count == 63 * 64)
  }

  @Test(arguments: [(4, 8, 65), (6, 6, 7), (6, 4, 3), (0, 8, 52), (1, 8, 3)])
  func aReservedPortLeavesTheRangeAndNothingElseMoves(offset: Int, length: Int, psid: UInt16) throws {
    let set = try #require(PortSet(psidOffset: offset, psidLength: length, psid: psid))
    let ports = set.ports
    // In the middle, at both ends, beside each other; one twice, and one that is not of the set.
    let reserved = [ports[5], ports[ports.count - 1], ports[5], ports[0], ports[1], ports[ports.count - 2]]
    var before = try #require(PrivateRange(for: set))
    for count in 1...reserved.count {
      let range = try #require(PrivateRange(for: set, reserving: Array(reserved.prefix(count)) + [1]))
      let kept = Set(reserved.prefix(count))
      #expect(range.ports.lowerBound == before.ports.lowerBound)
      #expect(range.ports.count == ports.count - kept.count)
      #expect(range.realPorts == ports)
      // One to one, all ports of the set, none of the reserved ones in the range.
      #expect(Set(range.slots.map(\.real)) == Set(ports) && range.slots.count == ports.count)
      #expect(Set(range.slots.map(\.private)).count == ports.count)
      #expect(range.slots.allSatisfy { range.ports.contains($0.private) == !kept.contains($0.real) })
      #expect(range.slots.allSatisfy { range.realPort(forPrivate: $0.private) == $0.real })
      if range.isApart {
        #expect(range.slots[range.ports.count...].allSatisfy { $0.private == $0.real })
      }
      // Of the ports that can be chosen, one at most stands for another than before, and one is gone.
      let moved = before.ports.filter { range.realPort(forPrivate: $0) != before.realPort(forPrivate: $0) }
      #expect(moved.count <= 2, "\(moved)")
      before = range
    }
  }

  @Test func theLastPortIsNeverReserved() throws {
    let set = try #require(PortSet(psidOffset: 0, psidLength: 14, psid: 9))
    let range = try #require(PrivateRange(for: set, reserving: set.ports))
    #expect(set.count == 4 && range.ports.count == 1 && range.slots.count == 4)
  }
}
