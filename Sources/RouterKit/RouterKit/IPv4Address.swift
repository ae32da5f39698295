// SPDX-License-Identifier: GPL-3.0-or-later
//
// An IPv4 address as its 32 bits. Text is only a way in and out: nothing in routerd ever compares addresses as text.

/// An IPv4 address.
public struct IPv4Address: Hashable, Sendable, Comparable {
  /// The address as a number in host byte order: 192.0.2.1 is 0xc0000201.
  public var bits: UInt32

  /// Makes an address from its number in host byte order.
  public init(bits: UInt32) {
    self.bits = bits
  }

  /// Makes an address from its four bytes, most significant first.
  public init(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) {
    bits = UInt32(a) << 24 | UInt32(b) << 16 | UInt32(c) << 8 | UInt32(d)
  }

  /// Parses strict dotted-decimal text: four numbers 0–255 without leading zeros, nothing else (RFC 6943 §3.1.1 tells
  /// why the looser forms are dangerous).
  /// - Throws: ``AddressError`` with what is wrong and where.
  public init(_ text: some StringProtocol) throws(AddressError) {
    let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard parts.count == 4 else {
      throw AddressError(text, "an IPv4 address has four numbers between dots, like 192.0.2.1")
    }
    var bits: UInt32 = 0
    for part in parts {
      guard (1...3).contains(part.count), part.allSatisfy({ (0x30...0x39).contains($0) }) else {
        throw AddressError(text, "“\(String(decoding: part, as: UTF8.self))” is not a number from 0 to 255")
      }
      guard part.count == 1 || part.first != 0x30 else {
        throw AddressError(
          text, "“\(String(decoding: part, as: UTF8.self))” has a leading zero, which some programs read as octal")
      }
      let value = part.reduce(UInt32(0)) { $0 * 10 + UInt32($1 - 0x30) }
      guard value <= 255 else {
        throw AddressError(text, "\(value) is more than 255")
      }
      bits = bits << 8 | value
    }
    self.bits = bits
  }

  /// The four bytes in network order.
  public var bytes: [UInt8] {
    [
      UInt8(truncatingIfNeeded: bits >> 24), UInt8(truncatingIfNeeded: bits >> 16),
      UInt8(truncatingIfNeeded: bits >> 8), UInt8(truncatingIfNeeded: bits),
    ]
  }

  /// Numeric order.
  public static func < (a: IPv4Address, b: IPv4Address) -> Bool {
    a.bits < b.bits
  }
}

extension IPv4Address: CustomStringConvertible {
  /// The text for people.
  public var description: String {
    bytes.map(String.init).joined(separator: ".")
  }
}
