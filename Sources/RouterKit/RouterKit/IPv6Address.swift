// SPDX-License-Identifier: GPL-3.0-or-later
//
// An IPv6 address as its 128 bits, read strictly (RFC 4291 §2.2) and written in the one canonical form (RFC 5952).
//
// Reading goes group by group, left to right: each group is put at the end of `head` until a "::" is met, from then on
// at the end of `tail`; the gap is then filled with zeros. A compressed group such as "a2c" is the number 0x0a2c: public
// rule tables that matched on text took it for "a2c…" and sent lines to the wrong rule.

/// An IPv6 address without a zone.
public struct IPv6Address: Hashable, Sendable, Comparable {
  /// The address as a number in host byte order: the first byte of the address is the most significant one.
  public var bits: UInt128

  /// Makes an address from its number in host byte order.
  public init(bits: UInt128) {
    self.bits = bits
  }

  /// Makes an address from 16 bytes in network order, or nothing if there are not exactly 16.
  public init?(bytes: some Collection<UInt8>) {
    guard bytes.count == 16 else { return nil }
    bits = bytes.reduce(0) { $0 << 8 | UInt128($1) }
  }

  /// Parses the text forms of RFC 4291 §2.2. No zone, no brackets, no white space.
  /// - Throws: ``AddressError`` with what is wrong and where.
  public init(_ text: some StringProtocol) throws(AddressError) {
    if text.utf8.contains(UInt8(ascii: "%")) {
      throw AddressError(text, "a zone (the part from “%”) has no meaning here; leave it out")
    }
    guard text.utf8.contains(UInt8(ascii: ":")) else {
      throw AddressError(text, "this is not an IPv6 address, which has groups of hexadecimal digits between colons")
    }
    let groups = text.utf8.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
    // Eight groups and a "::" at either end make ten pieces at the most.
    guard groups.count <= 10 else {
      throw AddressError(text, "an IPv6 address has at most eight groups")
    }
    var head: [UInt16] = []
    var tail: [UInt16] = []
    var isCompressed = false
    for (index, group) in groups.enumerated() {
      if group.isEmpty {
        // "::" gives one empty piece inside the text, and two of them when it opens or closes the text.
        let opensText = index == 0 && groups.count > 2 && groups[1].isEmpty
        let closesText = index == groups.count - 1 && index >= 2 && groups[index - 1].isEmpty
        if opensText || (closesText && isCompressed) { continue }
        guard index > 0, index < groups.count - 1 else {
          throw AddressError(text, "a single colon at an end is not allowed")
        }
        guard !isCompressed else {
          throw AddressError(text, "“::” may stand only once")
        }
        isCompressed = true
        continue
      }
      var values: [UInt16]
      if group.contains(UInt8(ascii: ".")) {
        guard index == groups.count - 1 else {
          throw AddressError(text, "dotted-decimal numbers may stand only at the end")
        }
        let embedded = try IPv4Address(String(decoding: group, as: UTF8.self))
        values = [UInt16(truncatingIfNeeded: embedded.bits >> 16), UInt16(truncatingIfNeeded: embedded.bits)]
      } else {
        guard group.count <= 4, let value = UInt16(hexadecimal: group) else {
          throw AddressError(
            text, "“\(String(decoding: group, as: UTF8.self))” is not a group of one to four hexadecimal digits")
        }
        values = [value]
      }
      if isCompressed { tail += values } else { head += values }
    }
    let given = head.count + tail.count
    guard isCompressed ? given <= 7 : given == 8 else {
      throw AddressError(
        text, isCompressed ? "“::” leaves no room for a group of zeros" : "there are \(given) groups instead of eight")
    }
    let all = head + Array(repeating: 0, count: 8 - given) + tail
    bits = all.reduce(0) { $0 << 16 | UInt128($1) }
  }

  /// The eight 16-bit groups, first one first.
  public var groups: [UInt16] {
    (0..<8).map { UInt16(truncatingIfNeeded: bits >> UInt128(112 - 16 * $0)) }
  }

  /// The 16 bytes in network order.
  public var bytes: [UInt8] {
    (0..<16).map { UInt8(truncatingIfNeeded: bits >> UInt128(120 - 8 * $0)) }
  }

  /// Whether this is a global unicast address (2000::/3), the only kind that a line gives out.
  public var isGlobalUnicast: Bool {
    bits >> 125 == 1
  }

  /// Whether this is a link-local address (fe80::/10).
  public var isLinkLocal: Bool {
    bits >> 118 == 0x3fa
  }

  /// Numeric order.
  public static func < (a: IPv6Address, b: IPv6Address) -> Bool {
    a.bits < b.bits
  }
}

extension IPv6Address: CustomStringConvertible {
  /// The canonical text of RFC 5952: lower case, no leading zeros, the first longest run of two or more zero groups
  /// compressed.
  public var description: String {
    let groups = groups
    var longest = 0..<0
    var index = 0
    while index < 8 {
      let end = groups[index...].firstIndex { $0 != 0 } ?? 8
      if end - index > max(longest.count, 1) { longest = index..<end }
      index = max(end, index) + 1
    }
    func text(_ range: Range<Int>) -> String {
      groups[range].map { String($0, radix: 16) }.joined(separator: ":")
    }
    return longest.isEmpty ? text(0..<8) : "\(text(0..<longest.lowerBound))::\(text(longest.upperBound..<8))"
  }
}

extension UInt16 {
  /// Reads plain hexadecimal digits (no sign, no prefix), or nothing.
  fileprivate init?(hexadecimal digits: some Collection<UInt8>) {
    self = 0
    for digit in digits {
      let value: UInt8
      switch digit {
      case 0x30...0x39: value = digit - 0x30
      case 0x41...0x46: value = digit - 0x41 + 10
      case 0x61...0x66: value = digit - 0x61 + 10
      default: return nil
      }
      self = self << 4 | UInt16(value)
    }
  }
}
