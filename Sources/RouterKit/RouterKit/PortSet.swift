// SPDX-License-Identifier: GPL-3.0-or-later
//
// The ports that a shared IPv4 address leaves to one CE (RFC 7597 §5.1).
//
// A 16-bit port is read as   | A: psidOffset bits | PSID: psidLength bits | M: the rest |.
// The set is every port whose PSID field is ours. With psidOffset > 0 the block A = 0 is left out, which keeps the
// well-known ports away from everybody; with psidOffset 0 there is one block, and port 0 is never in it.

/// The ports (and ICMP identifiers) of one CE.
public struct PortSet: Hashable, Sendable {
  /// Number of bits before the PSID (a), 0 to 15.
  public let psidOffset: Int
  /// Number of bits of the PSID (k), 0 to 16; `psidOffset + psidLength` is at most 16.
  public let psidLength: Int
  /// The port-set identifier, below 2^psidLength.
  public let psid: UInt16

  /// Makes a set, or nothing if the numbers do not fit together.
  public init?(psidOffset: Int, psidLength: Int, psid: UInt16) {
    guard (0...15).contains(psidOffset), (0...16).contains(psidLength), psidOffset + psidLength <= 16,
      UInt32(psid) < 1 << UInt32(psidLength)
    else { return nil }
    self.psidOffset = psidOffset
    self.psidLength = psidLength
    self.psid = psid
  }

  /// The number of consecutive ports in a block, 2^m with m = 16 − a − k.
  public var blockSize: Int {
    1 << (16 - psidOffset - psidLength)
  }

  /// The blocks in ascending order.
  public var blocks: [ClosedRange<UInt16>] {
    let first = psidOffset == 0 ? 0 : 1
    return (first..<(1 << psidOffset)).compactMap { a in
      let start = a << (16 - psidOffset) | Int(psid) << (16 - psidOffset - psidLength)
      let end = start + blockSize - 1
      // Port 0 cannot be used on the wire.
      return end == 0 ? nil : UInt16(max(start, 1))...UInt16(end)
    }
  }

  /// How many ports the set has.
  public var count: Int {
    blocks.reduce(0) { $0 + $1.count }
  }

  /// Every port in ascending order.
  public var ports: [UInt16] {
    blocks.flatMap { Array($0) }
  }

  /// Whether `port` belongs to the set.
  public func contains(_ port: UInt16) -> Bool {
    guard port != 0, psidOffset == 0 || port >> UInt16(16 - psidOffset) != 0 else { return false }
    return Self.psid(of: port, offset: psidOffset, length: psidLength) == psid
  }

  /// The PSID that `port` falls under.
  /// - Parameters:
  ///   - port: a port or ICMP identifier.
  ///   - offset: the PSID offset, 0 to 15.
  ///   - length: the PSID length, 0 to 16, with `offset + length` at most 16.
  public static func psid(of port: UInt16, offset: Int, length: Int) -> UInt16 {
    let shifted = UInt32(port) >> UInt32(max(16 - offset - length, 0))
    return UInt16(truncatingIfNeeded: shifted & ((1 << UInt32(length)) - 1))
  }
}

extension PortSet: CustomStringConvertible {
  /// The blocks as people write them: `5136-5151 9232-9247 …`.
  public var description: String {
    blocks.map { "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: " ")
  }
}
