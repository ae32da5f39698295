// SPDX-License-Identifier: GPL-3.0-or-later
//
// The prefix of a line as people give it. They paste what they find: the delegated /56, the /64 on the link, or the
// whole address of the interface. What cannot be the prefix of a line is refused with what would be right.

public import RouterKit

/// Reads the prefix of a line.
public enum LinePrefix {
  /// Parses a prefix of 1 to 64 bits, or an address with /128.
  /// - Throws: ``AddressError`` that says what is wrong and what would be right.
  public static func parse(_ text: some StringProtocol) throws(AddressError) -> IPv6Prefix {
    guard text.contains("/") else {
      // Say first what is wrong with the address itself, if anything.
      let address = try IPv6Address(text)
      throw AddressError(
        text,
        "the length is missing: write the line's prefix, like \(IPv6Prefix(of: address, length: 56)), "
          + "or \(address)/128 for the address of an interface")
    }
    let prefix = try IPv6Prefix(text)
    guard prefix.length <= 64 || prefix.length == 128 else {
      throw AddressError(
        text,
        "a line's prefix has at most 64 bits; write \(IPv6Prefix(of: prefix.address, length: 64)), "
          + "or the address of the interface with /128")
    }
    guard prefix.length > 0, prefix.address.isGlobalUnicast else {
      throw AddressError(text, "this is no global unicast prefix (2000::/3), which is what a line is given")
    }
    return prefix
  }
}
