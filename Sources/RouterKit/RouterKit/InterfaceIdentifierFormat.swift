// SPDX-License-Identifier: GPL-3.0-or-later
//
// The two layouts of the low 64 bits of a CE address. Japan's networks were built to the third draft of MAP and kept
// its layout; a CE that uses the RFC's layout there sends packets that every BR drops in silence.

/// How IPv4 address and PSID stand in the interface identifier of a CE address.
public enum InterfaceIdentifierFormat: String, Hashable, Sendable, CaseIterable {
  /// 16 zero bits, IPv4 address, PSID in 16 bits (RFC 7597 §6).
  case rfc7597
  /// 8 zero bits, IPv4 address, PSID in 16 bits, 8 zero bits (draft-ietf-softwire-map-03 §6).
  case draft03 = "draft-03"

  /// The low 64 bits of a CE address.
  public func identifier(_ address: IPv4Address, psid: UInt16) -> UInt64 {
    let middle = UInt64(address.bits) << 16 | UInt64(psid)
    switch self {
    case .rfc7597: return middle
    case .draft03: return middle << 8
    }
  }
}
