// SPDX-License-Identifier: GPL-3.0-or-later
//
// Why a text is not the address or prefix it should be.

/// A text that could not be read as an address or prefix.
public struct AddressError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The offending text, cut to a length that fits a log line and with control characters replaced.
  public let text: String
  /// What is wrong with it and what would be right, as the end of a sentence.
  public let reason: String

  /// Makes an error for `text`, which may come from anybody.
  public init(_ text: some StringProtocol, _ reason: String) {
    self.text = String(
      String.UnicodeScalarView(
        text.unicodeScalars.prefix(80).map {
          $0.properties.generalCategory == .control ? "\u{fffd}" : $0
        }))
    self.reason = reason
  }

  /// The text for people.
  public var description: String {
    "“\(text)”: \(reason)"
  }
}
