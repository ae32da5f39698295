// SPDX-License-Identifier: GPL-3.0-or-later
//
// Addresses and prefixes: strict reading, canonical writing.

import RouterKit
import Testing

struct AddressTests {
  @Test(arguments: [
    ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("2001:DB8::A2C", "2001:db8::a2c"),
    ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("2001:0db8:0000:0001:0001:0001:0001:0001", "2001:db8:0:1:1:1:1:1"),
    ("0:0:0:0:0:0:0:0", "::"), ("2001:db8:1:2:3:4:5::", "2001:db8:1:2:3:4:5:0"), ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
    ("::ffff:192.0.2.33", "::ffff:c000:221"), ("1:2:3:4:5:6:192.0.2.1", "1:2:3:4:5:6:c000:201"),
    ("2001:260:700:1::1:275", "2001:260:700:1::1:275"), ("fe80::", "fe80::"),
    ("1:0:0:2:0:0:0:3", "1:0:0:2::3"), ("0:0:1:0:0:0:0:0", "0:0:1::"),
  ])
  func readsAndWritesIPv6(text: String, canonical: String) throws {
    let address = try IPv6Address(text)
    #expect(address.description == canonical)
    #expect(try IPv6Address(canonical) == address)
    #expect(IPv6Address(bytes: address.bytes) == address)
  }

  @Test(arguments: [
    "", ":", ":::", "1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:",
    "12345::", "g::", "::1%eth0", "[::1]", " ::1", "::1 ", "+1::", "0x1::", "1:2:3:4:5:6:7::8", "::1.2.3", "1.2.3.4::",
    "::1.2.3.256", "::01.2.3.4", "1:2:3:4:5:6:7:1.2.3.4", "１::", "::\u{0}", "::1:", ":1::", "1::2:", "::1::",
  ])
  func refusesWhatIsNoIPv6Address(text: String) {
    #expect(throws: AddressError.self) { try IPv6Address(text) }
  }

  @Test func refusesEndlessText() {
    for piece in [":", "1:", "1", "1."] {
      let text = String(repeating: piece, count: 100_000)
      #expect(throws: AddressError.self) { try IPv6Address(text) }
      #expect(throws: AddressError.self) { try IPv4Address(text) }
      #expect(throws: AddressError.self) { try IPv6Prefix("\(text)/\(text)") }
    }
  }

  @Test func writesEveryAddressSoThatItReadsBack() throws {
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<20_000 {
      var groups = (0..<8).map { _ in UInt16.random(in: 0...UInt16.max, using: &generator) }
      for index in 0..<8 where Bool.random() { groups[index] = 0 }
      let address = IPv6Address(bits: groups.reduce(0) { $0 << 16 | UInt128($1) })
      #expect(try IPv6Address(address.description) == address)
      #expect(address.groups == groups)
    }
  }

  @Test(arguments: ["192.0.2.1", "0.0.0.0", "255.255.255.255"])
  func readsIPv4(text: String) throws {
    #expect(try IPv4Address(text).description == text)
  }

  @Test(arguments: [
    "", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.4 ", "1..2.3", "a.b.c.d", "1.2.3.-4", "0x1.2.3.4",
    "1.2.3.99999999999999999999", "１.2.3.4",
  ])
  func refusesWhatIsNoIPv4Address(text: String) {
    #expect(throws: AddressError.self) { try IPv4Address(text) }
  }

  @Test func prefixesCompareBits() throws {
    let rule = try IPv6Prefix("240d:f::/36")
    // The third group of the first line is 0a2c, of the second a2c0: only text makes them alike.
    #expect(rule.contains(try IPv6Prefix("240d:f:a2c:6300::/56")))
    #expect(!rule.contains(try IPv6Prefix("240d:f:a2c0:6300::/56")))
    #expect(!rule.contains(try IPv6Prefix("240d::/16")))
    #expect(try IPv6Prefix("::/0").contains(rule))
    #expect(rule.commonLength(with: try IPv6Prefix("240d:1a::/32")) == 27)
    #expect(try IPv6Prefix("2001:db8:1234:5678::/64").extractBits(at: 32, count: 16) == 0x1234)
    #expect(try IPv6Prefix("2001:db8::/32").extractBits(at: 128, count: 4) == 0)
  }

  @Test(arguments: [
    ("2001:db8::", "length"), ("2001:db8::/", "0 to 128"), ("2001:db8::/129", "0 to 128"),
    ("2001:db8::/056", "0 to 128"),
    ("2001:db8::/-1", "0 to 128"), ("2001:db8::/5 6", "0 to 128"), ("2001:db8::1/64", "2001:db8::/64"),
    ("2001:db8::/56/64", "0 to 128"), ("fe80::1%eth0/64", "zone"), ("rubbish/56", "not an IPv6 address"),
  ])
  func saysWhatIsWrongWithAPrefix(text: String, expected: String) throws {
    let error = try #require(throws: AddressError.self) { try IPv6Prefix(text) }
    #expect(error.description.contains(expected), "\(error)")
  }

  @Test func errorsDoNotCarryControlCharactersOrEndlessText() throws {
    let error = try #require(throws: AddressError.self) {
      try IPv6Address("\u{1b}[31m" + String(repeating: "x", count: 1000))
    }
    #expect(!error.description.unicodeScalars.contains("\u{1b}"))
    #expect(error.text.count <= 80)
  }
}
