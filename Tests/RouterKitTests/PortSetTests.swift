// SPDX-License-Identifier: GPL-3.0-or-later
//
// Port sets against their definition, over every layout.

import RouterKit
import Testing

struct PortSetTests {
  /// Whether a port is in a set, read off its binary digits: the definition, not the product's arithmetic.
  private func isMember(_ port: Int, offset: Int, length: Int, psid: Int) -> Bool {
    let digits = String(1 << 16 | port, radix: 2).dropFirst()
    let field = digits.dropFirst(offset).prefix(length)
    return port != 0 && (offset == 0 || digits.prefix(offset).contains("1"))
      && (field.isEmpty ? 0 : Int(field, radix: 2)) == psid
  }

  @Test(arguments: [
    (4, 8, 65), (6, 6, 22), (0, 8, 0), (0, 8, 52), (6, 8, 0x34), (4, 4, 11), (15, 1, 1), (0, 16, 7), (1, 0, 0),
    (0, 0, 0),
  ])
  func hasThePortsOfItsDefinition(offset: Int, length: Int, psid: Int) throws {
    let set = try #require(PortSet(psidOffset: offset, psidLength: length, psid: UInt16(psid)))
    let expected = (0...65535).filter { isMember($0, offset: offset, length: length, psid: psid) }
    #expect(set.ports.map(Int.init) == expected)
    #expect((0...65535).filter { set.contains(UInt16($0)) } == expected)
    #expect(set.count == expected.count)
  }

  @Test func everyLayoutAgreesAtTheEdgesOfItsBlocks() throws {
    var wrong: [String] = []
    for offset in 0...15 {
      for length in 0...(16 - offset) {
        for psid in Set([0, 1, (1 << length) - 1, (1 << length) / 3]) where psid < 1 << length {
          let set = try #require(PortSet(psidOffset: offset, psidLength: length, psid: UInt16(psid)))
          for block in set.blocks.prefix(3) + set.blocks.suffix(3) {
            for port in [
              Int(block.lowerBound) - 1, Int(block.lowerBound), Int(block.upperBound), Int(block.upperBound) + 1,
            ]
            where (0...65535).contains(port) {
              let expected = isMember(port, offset: offset, length: length, psid: psid)
              if set.contains(UInt16(port)) != expected { wrong.append("\(offset)/\(length)/\(psid): \(port)") }
            }
          }
        }
      }
    }
    #expect(wrong == [])
  }

  @Test func refusesNumbersThatDoNotFit() {
    #expect(PortSet(psidOffset: 4, psidLength: 8, psid: 256) == nil)
    #expect(PortSet(psidOffset: 10, psidLength: 7, psid: 0) == nil)
    #expect(PortSet(psidOffset: -1, psidLength: 8, psid: 0) == nil)
    #expect(PortSet(psidOffset: 16, psidLength: 0, psid: 0) == nil)
    #expect(PortSet(psidOffset: 0, psidLength: 17, psid: 0) == nil)
  }

  @Test func neverHoldsPortZero() throws {
    let set = try #require(PortSet(psidOffset: 0, psidLength: 8, psid: 0))
    #expect(set.blocks == [1...255])
    #expect(!set.contains(0))
    #expect(try #require(PortSet(psidOffset: 0, psidLength: 16, psid: 0)).blocks.isEmpty)
  }
}
