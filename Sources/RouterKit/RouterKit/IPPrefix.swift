// SPDX-License-Identifier: GPL-3.0-or-later
//
// IPv4 and IPv6 prefixes. A prefix value never has host bits: the strict parsers refuse them (they mean that the writer
// had something else in mind), and the other initialisers clear them.

/// What the two address families share, so that prefixes are written once.
public protocol IPAddress: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// The number that holds the address.
  associatedtype Bits: FixedWidthInteger & UnsignedInteger & Sendable
  /// The address as a number in host byte order.
  var bits: Bits { get set }
  /// Makes an address from its number in host byte order.
  init(bits: Bits)
  /// Parses strict text.
  init(_ text: some StringProtocol) throws(AddressError)
}

extension IPv4Address: IPAddress {}
extension IPv6Address: IPAddress {}

extension IPAddress {
  /// How many bits an address has: 32 or 128.
  public static var bitCount: Int { Bits.bitWidth }
}

/// A prefix of an address family: an address without host bits, and a length.
public struct IPPrefix<Address: IPAddress>: Hashable, Sendable {
  /// The address part; every bit behind ``length`` is zero.
  public let address: Address
  /// The prefix length in bits, 0 to 32 or 0 to 128.
  public let length: Int

  /// The prefix of `length` bits that holds `address`; host bits are cleared.
  /// - Parameter length: clamped to what the family has.
  public init(of address: Address, length: Int) {
    let length = min(max(length, 0), Address.bitCount)
    self.length = length
    self.address = Address(bits: address.bits & Self.mask(length))
  }

  /// Parses `ADDRESS/LENGTH` strictly.
  /// - Throws: ``AddressError`` if the length is missing, not a plain number or too large, or if host bits are set (the
  ///   message then names the prefix that was probably meant).
  public init(_ text: some StringProtocol) throws(AddressError) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2 else {
      throw AddressError(text, "a prefix needs its length behind a slash, like \(Address.examplePrefix)")
    }
    let digits = parts[1].utf8
    guard (1...3).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }),
      digits.count == 1 || digits.first != 0x30, let length = Int(parts[1]), length <= Address.bitCount
    else {
      throw AddressError(text, "the length behind the slash must be a number from 0 to \(Address.bitCount)")
    }
    let address: Address
    do {
      address = try Address(parts[0])
    } catch {
      throw AddressError(text, error.reason)
    }
    self.init(of: address, length: length)
    guard self.address == address else {
      throw AddressError(text, "bits are set behind the first \(length); the prefix is \(self)")
    }
  }

  /// Whether `address` lies in this prefix, compared bit by bit.
  public func contains(_ address: Address) -> Bool {
    address.bits & Self.mask(length) == self.address.bits
  }

  /// Whether every address of `other` lies in this prefix.
  public func contains(_ other: IPPrefix) -> Bool {
    other.length >= length && contains(other.address)
  }

  /// How many leading bits this prefix and `other` share, at most the shorter length.
  public func commonLength(with other: IPPrefix) -> Int {
    min((address.bits ^ other.address.bits).leadingZeroBitCount, min(length, other.length))
  }

  /// The bits from `offset` (0 is the most significant) on, `count` of them, as a number; bits behind the end of an
  /// address read as zero.
  public func extractBits(at offset: Int, count: Int) -> Address.Bits {
    guard count > 0, offset >= 0, offset < Address.bitCount else { return 0 }
    let width = Address.bitCount
    let upper = address.bits << Address.Bits(truncatingIfNeeded: offset)
    return upper >> Address.Bits(truncatingIfNeeded: width - min(count, width))
  }

  private static func mask(_ length: Int) -> Address.Bits {
    length == 0 ? 0 : ~0 << Address.Bits(truncatingIfNeeded: Address.bitCount - length)
  }
}

extension IPPrefix: CustomStringConvertible {
  /// The text for people.
  public var description: String {
    "\(address)/\(length)"
  }
}

extension IPPrefix: Comparable {
  /// By address, then length.
  public static func < (a: IPPrefix, b: IPPrefix) -> Bool {
    (a.address, a.length) < (b.address, b.length)
  }
}

extension IPAddress {
  fileprivate static var examplePrefix: String {
    bitCount == 32 ? "192.0.2.0/24" : "2001:db8:1234:5600::/56"
  }
}

/// An IPv4 prefix.
public typealias IPv4Prefix = IPPrefix<IPv4Address>
/// An IPv6 prefix.
public typealias IPv6Prefix = IPPrefix<IPv6Address>
