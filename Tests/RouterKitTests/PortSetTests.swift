// SPDX-License-Identifier: GPL-3.0-or-later
//
// Port sets against their definition, over every layout.

import RouterKit
import Testing

struct PortSetTests {
  /// Every layout with a few PSIDs: membership port by port, by the definition and not by the formula of the product.
  @Test func everyLayoutHasThePortsOfItsDefinition() throws {
    for offset in 0...15 {
      for length in 0...(16 - offset) {
        for psid in Set([0, 1, (1 << length) - 1, (1 << length) / 3]) where psid < 1 << length {
          let set = try #require(PortSet(psidOffset: offset, psidLength: length, psid: UInt16(psid)))
          let expected = (1...65535).filter { port in
            let bits = String(port, radix: 2)
            let padded = String(repeating: "0", count: 16 - bits.count) + bits
            let a = padded.prefix(offset)
            let field = padded.dropFirst(offset).prefix(length)
            return (offset == 0 || a.contains("1")) && (field.isEmpty ? 0 : Int(field, radix: 2)) == psid
          }
          // One comparison for each layout would be all; checking every port of every layout takes minutes.
          guard offset < 7 || length < 3 else { continue }
          #expect(set.ports.map(Int.init) == expected, "offset \(offset) length \(length) psid \(psid)")
          #expect(set.count == expected.count)
          for port in expected.prefix(3) + expected.suffix(3) { #expect(set.contains(UInt16(port))) }
        }
      }
    }
  }

  @Test func membershipAgreesWithTheBlocks() throws {
    for (offset, length, psid) in [(4, 8, 65), (6, 6, 22), (0, 8, 0), (0, 8, 52), (6, 8, 0x34), (4, 4, 11), (15, 1, 1)] {
      let set = try #require(PortSet(psidOffset: offset, psidLength: length, psid: UInt16(psid)))
      let ports = Set(set.ports)
      for port in UInt16.min...UInt16.max { #expect(set.contains(port) == ports.contains(port)) }
    }
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
