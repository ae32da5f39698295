// SPDX-License-Identifier: GPL-3.0-or-later
//
// Connections as they are listed. There may be a hundred thousand, so that each is shown once and kept by nobody here.

internal import CConntrack
internal import Glibc
public import RouterKit

/// A connection of TCP, UDP or ICMP over IPv4.
public struct Flow: Hashable, Sendable {
  /// An address and a port; with ICMP the port is the identifier.
  public struct End: Hashable, Sendable {
    /// The address.
    public var address: IPv4Address
    /// The port or identifier.
    public var port: UInt16

    /// Makes an end.
    public init(_ address: IPv4Address, _ port: UInt16) {
      self.address = address
      self.port = port
    }
  }

  /// The number of the protocol: 1, 6 or 17.
  public var protocolNumber: UInt8
  /// Who opened the connection, and whom it wrote to, before any translation.
  public var source: End, destination: End
  /// Who answers, and where to, before it is translated back.
  public var answerSource: End, answerDestination: End

  /// Makes a connection.
  public init(protocolNumber: UInt8, source: End, destination: End, answerSource: End, answerDestination: End) {
    self.protocolNumber = protocolNumber
    self.source = source
    self.destination = destination
    self.answerSource = answerSource
    self.answerDestination = answerDestination
  }

  /// Whether answers go elsewhere than to who opened the connection.
  public var isSourceTranslated: Bool { source != answerDestination }
  /// Whether somebody else answers than was written to.
  public var isDestinationTranslated: Bool { destination != answerSource }
}

extension ConntrackSocket {
  /// Shows every connection of TCP, UDP and ICMP over IPv4, one after another.
  public func forEachFlow(_ body: @escaping (Flow) -> Void) throws(ConntrackError) {
    try list(FlowReader(body))
  }
}

private final class FlowReader: EntryReader {
  private let body: (Flow) -> Void

  init(_ body: @escaping (Flow) -> Void) {
    self.body = body
  }

  override func consider(_ entry: OpaquePointer, in message: UnsafePointer<nlmsghdr>) {
    let number = nfct_get_attr_u8(entry, ATTR_L4PROTO)
    func end(_ address: nf_conntrack_attr, _ port: nf_conntrack_attr) -> Flow.End {
      Flow.End(
        IPv4Address(bits: UInt32(bigEndian: nfct_get_attr_u32(entry, address))),
        UInt16(bigEndian: nfct_get_attr_u16(entry, port)))
    }
    guard number == UInt8(IPPROTO_TCP) || number == UInt8(IPPROTO_UDP) || number == UInt8(IPPROTO_ICMP) else { return }
    var flow = Flow(
      protocolNumber: number, source: end(ATTR_ORIG_IPV4_SRC, ATTR_ORIG_PORT_SRC),
      destination: end(ATTR_ORIG_IPV4_DST, ATTR_ORIG_PORT_DST),
      answerSource: end(ATTR_REPL_IPV4_SRC, ATTR_REPL_PORT_SRC),
      answerDestination: end(ATTR_REPL_IPV4_DST, ATTR_REPL_PORT_DST))
    if number == UInt8(IPPROTO_ICMP) {
      flow.source.port = Self.identifier(in: message, UInt16(CTA_TUPLE_ORIG.rawValue))
      flow.answerDestination.port = Self.identifier(in: message, UInt16(CTA_TUPLE_REPLY.rawValue))
    }
    body(flow)
  }

  /// The identifier of one direction of a ping, or 0. The library only knows that of the original direction.
  private static func identifier(in message: UnsafePointer<nlmsghdr>, _ direction: UInt16) -> UInt16 {
    let header = MemoryLayout<nlmsghdr>.size + MemoryLayout<nfgenmsg>.size
    let length = Int(message.pointee.nlmsg_len)
    guard length > header else { return 0 }
    let bytes = UnsafeRawBufferPointer(start: UnsafeRawPointer(message) + header, count: length - header)
    var value = bytes[...]
    for type in [direction, UInt16(CTA_TUPLE_PROTO.rawValue), UInt16(CTA_PROTO_ICMP_ID.rawValue)] {
      guard let inner = attribute(type, in: value) else { return 0 }
      value = inner
    }
    return value.count == 2 ? UInt16(value[value.startIndex]) << 8 | UInt16(value[value.startIndex + 1]) : 0
  }

  private static func attribute(
    _ type: UInt16, in bytes: Slice<UnsafeRawBufferPointer>
  ) -> Slice<UnsafeRawBufferPointer>? {
    var rest = bytes
    while rest.count >= 4 {
      let length = Int(rest.loadUnaligned(as: UInt16.self))
      guard length >= 4, length <= rest.count else { return nil }
      // The two upper bits of the type only say how to read the value.
      if rest.loadUnaligned(fromByteOffset: 2, as: UInt16.self) & 0x3fff == type {
        return rest.prefix(length).dropFirst(4)
      }
      rest = rest.dropFirst((length + 3) & ~3)
    }
    return nil
  }
}
