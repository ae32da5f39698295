// SPDX-License-Identifier: GPL-3.0-or-later
//
// The echo request to a relay itself, outside the softwire, as bytes behind the IPv6 header (RFC 4443 §4). The kernel
// fills in the checksum and verifies that of what comes in.

import RouterKit

/// An ICMPv6 echo request.
public struct OuterEcho: Hashable, Sendable {
  /// The ICMPv6 identifier, any.
  public var identifier: UInt16
  /// Counts the requests.
  public var sequence: UInt16
  /// What only this process knows.
  public var cookie: UInt64

  /// Makes a request.
  public init(identifier: UInt16, sequence: UInt16, cookie: UInt64) {
    self.identifier = identifier
    self.sequence = sequence
    self.cookie = cookie
  }

  /// The message without its checksum: 8 bytes of ICMPv6 and the cookie.
  public var message: [UInt8] { [128, 0, 0, 0] + rest }

  /// The sequence number of the request that `message` answers, or nothing if it is no answer to one like this.
  /// - Parameter message: an ICMPv6 message; it may be anything.
  public func sequence(answeredBy message: some Collection<UInt8>) -> UInt16? {
    let bytes = Array(message.prefix(17))
    guard bytes.count == 16, bytes[0] == 129, bytes[1] == 0, bytes[4..<6] == rest[0..<2], bytes[8...] == rest[4...]
    else { return nil }
    return UInt16(bytes[6]) << 8 | UInt16(bytes[7])
  }

  /// What a reply repeats: identifier, sequence number and cookie.
  private var rest: [UInt8] {
    [identifier, sequence].flatMap { [UInt8(truncatingIfNeeded: $0 >> 8), UInt8(truncatingIfNeeded: $0)] }
      + (0..<8).map { UInt8(truncatingIfNeeded: cookie >> UInt64(56 - 8 * $0)) }
  }
}
