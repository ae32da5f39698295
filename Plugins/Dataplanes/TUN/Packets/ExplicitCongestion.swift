// SPDX-License-Identifier: GPL-3.0-or-later
//
// Congestion marks at the tunnel's end (RFC 6040 §4.2, figure 4). On the way in nothing needs deciding: in normal mode the
// outer field is a copy of the inner one.

/// The two ECN bits of a type of service or traffic class.
enum ExplicitCongestion: UInt8 {
  case notCapable = 0
  case capable1 = 1
  case capable0 = 2
  case experienced = 3

  /// The ECN bits of `field`.
  init(_ field: UInt8) {
    self =
      switch field & 3 {
      case 0: .notCapable
      case 1: .capable1
      case 2: .capable0
      default: .experienced
      }
  }

  /// What the inner header must say after decapsulation; nothing if the packet must be dropped.
  static func decapsulated(inner: ExplicitCongestion, outer: ExplicitCongestion) -> ExplicitCongestion? {
    switch (inner, outer) {
    case (.notCapable, .experienced): nil
    case (.notCapable, _): .notCapable
    case (_, .experienced): .experienced
    // A mark between none and full, used by pre-congestion notification and L4S.
    case (.capable0, .capable1): .capable1
    default: inner
    }
  }
}
