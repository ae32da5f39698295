// SPDX-License-Identifier: GPL-3.0-or-later
//
// The header of an inner packet, read once and checked once; everything behind relies on its lengths.

import RouterKit

/// The header of an IPv4 packet.
struct IPv4Header: Hashable, Sendable {
  /// The protocols whose insides matter here.
  enum ProtocolNumber {
    static let icmp: UInt8 = 1
    static let tcp: UInt8 = 6
    static let udp: UInt8 = 17
  }

  /// Length of the header in bytes, 20 to 60 and at most ``totalLength``.
  let headerLength: Int
  /// Length of the packet in bytes.
  let totalLength: Int
  /// DSCP and ECN.
  let typeOfService: UInt8
  let identification: UInt16
  /// The DF bit: no router may fragment the packet.
  let forbidsFragmenting: Bool
  /// The MF bit.
  let hasMoreFragments: Bool
  /// Where the fragment's payload belongs, in bytes.
  let fragmentOffset: Int
  let timeToLive: UInt8
  let protocolNumber: UInt8
  let source: IPv4Address
  let destination: IPv4Address

  /// Reads the header of a whole packet; bytes behind its total length are allowed.
  /// - Throws: the reason to drop the packet.
  init(_ packet: RawSpan) throws(DropReason) {
    try self.init(quoted: packet)
    guard packet.byteCount >= totalLength else { throw .truncated }
  }

  /// Reads the header of a packet of which an ICMP error quotes the beginning.
  /// - Throws: the reason to drop the error.
  init(quoted packet: RawSpan) throws(DropReason) {
    let first = packet.byte(at: 0)
    // An empty packet has no version to complain about.
    guard packet.byteCount > 0 else { throw .truncated }
    guard first >> 4 == 4 else { throw .notIPv4 }
    guard packet.byteCount >= 20 else { throw .truncated }
    headerLength = Int(first & 0xf) &* 4
    totalLength = Int(packet.number(at: 2, as: UInt16.self))
    guard headerLength >= 20, totalLength >= headerLength else { throw .badHeader }
    guard packet.byteCount >= headerLength else { throw .truncated }
    typeOfService = packet.byte(at: 1)
    identification = packet.number(at: 4)
    let fragmentWord: UInt16 = packet.number(at: 6)
    forbidsFragmenting = fragmentWord & 0x4000 != 0
    hasMoreFragments = fragmentWord & 0x2000 != 0
    fragmentOffset = Int(fragmentWord & 0x1fff) &* 8
    timeToLive = packet.byte(at: 8)
    protocolNumber = packet.byte(at: 9)
    source = IPv4Address(bits: packet.number(at: 12))
    destination = IPv4Address(bits: packet.number(at: 16))
  }

  /// Whether the packet is a fragment, the first one or another.
  var isFragment: Bool { hasMoreFragments || fragmentOffset != 0 }
}

extension IPv4Address {
  /// Whether an ICMP error may be sent to this address: not a group, not broadcast, not "this network", not loopback.
  var mayReceiveErrors: Bool {
    let first = bits >> 24
    return first != 0 && first != 127 && first < 224
  }
}
