// SPDX-License-Identifier: GPL-3.0-or-later
//
// The contiguous range that stands for a port set inside this router.
//
// A port set is many small blocks; the kernel's NAT wants one range to choose from. So connection tracking works with a
// range of as many "private" ports, and a stateless 1:1 mapping at the edge makes real ports of them: slot i of the
// range is the i-th port of the set, for life. Nobody outside ever sees a private port.
//
// Where the range lies: right behind the first block, if the gap to the second block is large enough. It is exactly when
// psidOffset (a) ≤ psidLength (k): with blocks of 2^m ports, m = 16 − a − k, the gap has 2^(16−a) − 2^m ports and the set
// (2^a − 1)·2^m, and the one holds the other if a + m ≤ 16 − a, which is a ≤ k. There the range never meets the set.
//
// With a > k there is no such gap. The range then ends at 65535 and overlaps the set, which does no harm: inside there
// are only private ports and outside only real ones, and every packet crosses the edge exactly once in each direction,
// where the mapping, being one-to-one, treats all ports of the set alike. What is lost is only that the two kinds of
// number can be told apart at sight.
//
// A set that is contiguous itself (psidOffset 0, or a single block) is its own private range, without any mapping.

public import RouterKit

/// The private ports of a port set.
public struct PrivateRange: Hashable, Sendable {
  /// The private ports; as many as the set has.
  public let ports: ClosedRange<UInt16>
  /// The ports of the set in ascending order; slot i of ``ports`` stands for the i-th.
  public let realPorts: [UInt16]

  /// Lays out the range for a set, or nothing if the set is empty.
  public init?(for set: PortSet) {
    let real = set.ports
    guard let first = real.first, let last = real.last else { return nil }
    realPorts = real
    if Int(last) - Int(first) + 1 == real.count {
      ports = first...last
    } else if set.psidOffset <= set.psidLength, let block = set.blocks.first {
      let start = block.upperBound + 1
      ports = start...(start + UInt16(real.count - 1))
    } else {
      ports = (UInt16.max - UInt16(real.count - 1))...UInt16.max
    }
  }

  /// Whether private and real ports are the same.
  public var isIdentity: Bool {
    ports.lowerBound == realPorts.first && ports.upperBound == realPorts.last
  }

  /// The pairs (real, private), slot by slot.
  public var slots: Zip2Sequence<[UInt16], ClosedRange<UInt16>> {
    zip(realPorts, ports)
  }

  /// The real port that a private one stands for.
  public func realPort(forPrivate port: UInt16) -> UInt16? {
    ports.contains(port) ? realPorts[Int(port - ports.lowerBound)] : nil
  }
}
