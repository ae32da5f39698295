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
//
// A port that is reserved (for a forward) must not be chosen for anything else. It leaves the range at its end: its slot
// is taken by the last port of the range, and the range gets one shorter. Only these two ports change their meaning, so
// that no other connection notices. The reserved port is its own private port, if the range behind the first block is
// used; in the other two layouts the number may be in use, and the one that was freed at the end stands for it.

public import RouterKit

/// The private ports of a port set.
public struct PrivateRange: Hashable, Sendable {
  /// A port as the wire sees it and as connection tracking does.
  public struct Slot: Hashable, Sendable {
    /// The port of the set.
    public let real: UInt16
    /// The private port that stands for it.
    public let `private`: UInt16
  }

  /// The private ports to choose from: as many as the set has, less those reserved.
  public let ports: ClosedRange<UInt16>
  /// The ports of the set in ascending order.
  public let realPorts: [UInt16]
  /// Whether no private port is a port of the set; reserved ones are then their own.
  public let isApart: Bool
  /// Every port of the set once: first the range in order, which without reserved ports is the set in order, too.
  public let slots: [Slot]

  /// Lays out the range for a set, or nothing if the set is empty.
  /// - Parameter reserved: ports of the set that stay out of the range. One more at the end leaves the places of the
  ///   others as they are. What is not of the set is passed over, and so is what would leave nothing.
  public init?(for set: PortSet, reserving reserved: [UInt16] = []) {
    let real = set.ports
    guard let first = real.first, let last = real.last else { return nil }
    realPorts = real
    let start: UInt16
    let isApart = set.psidOffset <= set.psidLength && Int(last) - Int(first) + 1 != real.count
    self.isApart = isApart
    if Int(last) - Int(first) + 1 == real.count {
      start = first
    } else if isApart, let block = set.blocks.first {
      start = block.upperBound + 1
    } else {
      start = UInt16.max - UInt16(real.count - 1)
    }
    var order = real
    var end = order.count
    for port in reserved where end > 1 {
      guard let slot = order[..<end].firstIndex(of: port) else { continue }
      end -= 1
      order.swapAt(slot, end)
    }
    ports = start...(start + UInt16(end - 1))
    slots = order.enumerated().map { slot, port in
      Slot(real: port, private: isApart && slot >= end ? port : start + UInt16(slot))
    }
  }

  /// Whether private and real ports are the same.
  public var isIdentity: Bool {
    slots.allSatisfy { $0.real == $0.private }
  }

  /// The real port that a private one stands for.
  public func realPort(forPrivate port: UInt16) -> UInt16? {
    if ports.contains(port) { return slots[Int(port - ports.lowerBound)].real }
    return slots[ports.count...].first { $0.private == port }?.real
  }
}
