// SPDX-License-Identifier: GPL-3.0-or-later
//
// The expressions of nf_tables that routerd's rules are made of. An expression loads something into a register,
// compares a register, or acts.

/// One step of a rule.
public enum Expression: Hashable, Sendable {
  /// Loads a property of the packet that is not in its bytes.
  case meta(MetaKey, into: Register)
  /// Loads bytes of the packet; a packet that is too short does not match.
  case payload(Payload, into: Register)
  /// Writes a register into the packet.
  case writePayload(Payload, from: Register, checksum: ChecksumUpdate)
  /// Goes on if the register's first bytes compare to `value` as asked (in the order of the bytes).
  case compare(Register, Comparison, [UInt8])
  /// Goes on if the register is a key of the set (if not, when `isInverted`).
  case lookup(Register, set: String, isInverted: Bool)
  /// Loads the data that a map has for the key in the register; a missing key does not match.
  case map(Register, map: String, into: Register)
  /// Computes `(register & mask) ^ xor`.
  case bitwise(Register, into: Register, mask: [UInt8], xor: [UInt8])
  /// Loads a constant.
  case immediate([UInt8], into: Register)
  /// Decides on the packet or leads elsewhere.
  case verdict(Verdict)
  /// Translates the connection's address and port.
  case nat(NAT)
  /// Translates the connection's source to the address of the device that the packet leaves by.
  case masquerade
  /// Counts the packet with the named counter.
  case counter(String)
  /// Gives a connection that begins with this packet the named timeouts.
  case timeout(String)
  /// Adds an element to a dynamic set or map, or lets it live as long again. The data of an element that is there
  /// already stays what it was.
  case update(set: String, key: Register, data: Register?)
  /// Loads a property of the packet's connection.
  case connection(ConnectionKey, into: Register)
  /// Loads one end of the packet's connection.
  case connectionEnd(ConnectionEnd, ConnectionDirection, into: Register)
  /// Loads a property of the packet's route.
  case route(RouteKey, into: Register)
  /// Loads 1 or 0: whether the header or option is there.
  case hasExtension(ExtensionHeader, into: Register)
  /// Writes a register into the header or option, if it is there. (The kernel never makes a TCP MSS larger.)
  case writeExtension(ExtensionHeader, from: Register)
  /// Turns 16-bit numbers of the host's byte order into network order.
  case hostToNetwork16(Register, into: Register)
  /// Something in the kernel's table that routerd never makes.
  case unsupported(String)
}

/// A register of 16 bytes; or the four bytes from one on within it, where the parts of a joint value lie. The numbers
/// are the kernel's (`NFT_REG_…`, `NFT_REG32_…`).
public enum Register: UInt32, Sendable {
  case r1 = 1
  case r2, r3, r4
  /// Bytes 4 to 7 and 8 to 11 of the first register.
  case r1Second = 9
  case r1Third = 10
  /// Bytes 4 to 7 of the second register.
  case r2Second = 13
}

/// Properties of a packet. The numbers are the kernel's (`NFT_META_…`).
public enum MetaKey: UInt32, Sendable {
  /// The device the packet came in by, 16 bytes.
  case inputName = 6
  /// The device the packet leaves by, 16 bytes.
  case outputName = 7
  /// 2 for IPv4, 10 for IPv6; 1 byte.
  case networkProtocol = 15
  /// The protocol above IP, extension headers skipped; 1 byte.
  case transportProtocol = 16
}

/// Properties of a connection. The numbers are the kernel's (`NFT_CT_…`).
public enum ConnectionKey: UInt32, Sendable {
  /// Bits of ``ConnectionState``; 4 bytes in the byte order of the host.
  case state = 0
  /// 0 for the original direction, 1 for the answers; 1 byte.
  case direction = 1
  /// Bits of ``ConnectionStatus``; 4 bytes in the byte order of the host.
  case status = 2
}

/// What a connection has at one of its ends, in network order. The numbers are the kernel's (`NFT_CT_…`).
public enum ConnectionEnd: UInt32, Sendable {
  /// The port of the sender; 2 bytes.
  case sourcePort = 11
  /// The IPv4 address of the sender; 4 bytes.
  case ipv4Source = 19
  /// The IPv4 address of the receiver; 4 bytes.
  case ipv4Destination = 20
}

/// Whose packets ``ConnectionEnd`` is about. The numbers are the kernel's (`IP_CT_DIR_…`).
public enum ConnectionDirection: UInt8, Sendable {
  /// Packets of the side that opened the connection, as they were before any translation.
  case original = 0
  /// The answers, as the other side sends them.
  case reply = 1
}

/// Properties of a route. The numbers are the kernel's (`NFT_RT_…`).
public enum RouteKey: UInt32, Sendable {
  /// The largest TCP segment that fits the routes of both directions; 2 bytes in the byte order of the host.
  case maximumSegmentSize = 3
}

/// Bytes of a packet.
public struct Payload: Hashable, Sendable {
  /// The header that the offset counts from. The numbers are the kernel's (`NFT_PAYLOAD_…_HEADER`).
  public enum Base: UInt32, Sendable {
    case network = 1
    case transport = 2
  }

  /// The header that ``offset`` counts from.
  public let base: Base
  /// The distance in bytes.
  public let offset: UInt32
  /// The number of bytes, 1 to 16.
  public let length: UInt32

  /// Describes `length` bytes at `offset` of the header `base`.
  public init(_ base: Base, offset: UInt32, length: UInt32) {
    self.base = base
    self.offset = offset
    self.length = length
  }
}

/// What becomes of checksums when the packet is written to.
public enum ChecksumUpdate: Hashable, Sendable {
  /// Nothing.
  case none
  /// The 16-bit internet checksum at this offset of the same header.
  case internet(offset: UInt32)
  /// The checksum of TCP or UDP, as the protocol wants it: a UDP checksum of zero stays zero.
  case transport
}

/// How a register is compared. The numbers are the kernel's (`NFT_CMP_…`).
public enum Comparison: UInt32, Sendable {
  case equal = 0
  case notEqual, less, lessOrEqual, greater, greaterOrEqual
}

/// Where a packet goes.
public enum Verdict: Hashable, Sendable {
  /// This hook lets the packet pass, as far as this base chain is concerned.
  case accept
  /// The packet is gone.
  case drop
  /// Back to the chain that led here.
  case `return`
  /// To another chain of the table, and back.
  case jump(String)
}

/// A translation to IPv4.
public struct NAT: Hashable, Sendable {
  /// The side that is translated. The numbers are the kernel's (`NFT_NAT_…`).
  public enum Side: UInt32, Sendable {
    case source = 0
    case destination = 1
  }

  /// The side that is translated.
  public let side: Side
  /// The register with the new address.
  public let address: Register
  /// The registers with the first and the last port to choose from, 2 bytes each in network order, or nothing to keep
  /// the ports.
  public let ports: ClosedPortRegisters?

  /// Registers that hold a range of ports.
  public struct ClosedPortRegisters: Hashable, Sendable {
    /// The register with the first port.
    public let first: Register
    /// The register with the last port.
    public let last: Register

    /// Names the two registers.
    public init(first: Register, last: Register) {
      self.first = first
      self.last = last
    }
  }

  /// Describes a translation.
  public init(_ side: Side, address: Register, ports: ClosedPortRegisters? = nil) {
    self.side = side
    self.address = address
    self.ports = ports
  }
}

/// A header or option that is searched for.
public struct ExtensionHeader: Hashable, Sendable {
  /// Where it is searched. The numbers are the kernel's (`NFT_EXTHDR_OP_…`).
  public enum Place: UInt32, Sendable {
    case ipv6 = 0
    case tcpOption = 1
  }

  /// Where it is searched.
  public let place: Place
  /// The number of the header or option.
  public let number: UInt8
  /// The distance in bytes from its beginning.
  public let offset: UInt32
  /// The number of bytes.
  public let length: UInt32

  /// Describes bytes of a header or option.
  public init(_ place: Place, number: UInt8, offset: UInt32, length: UInt32) {
    self.place = place
    self.number = number
    self.offset = offset
    self.length = length
  }
}

/// Bits of ``ConnectionKey/state``, as the kernel numbers them (`NF_CT_STATE_…`).
public struct ConnectionState: OptionSet, Hashable, Sendable {
  /// The kernel's bits.
  public let rawValue: UInt32

  /// Makes a set of bits.
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// The packet fits no connection.
  public static let invalid = ConnectionState(rawValue: 1)
  /// The packet belongs to a connection that was seen in both directions.
  public static let established = ConnectionState(rawValue: 2)
  /// The packet is about a connection, such as an ICMP error.
  public static let related = ConnectionState(rawValue: 4)
  /// The packet opens a connection.
  public static let new = ConnectionState(rawValue: 8)
  /// The packet is kept out of connection tracking.
  public static let untracked = ConnectionState(rawValue: 64)
}

/// Bits of ``ConnectionKey/status``, as the kernel numbers them (`IPS_…`).
public struct ConnectionStatus: OptionSet, Hashable, Sendable {
  /// The kernel's bits.
  public let rawValue: UInt32

  /// Makes a set of bits.
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// The connection's source is translated.
  public static let sourceNAT = ConnectionStatus(rawValue: 1 << 4)
  /// The connection's destination is translated.
  public static let destinationNAT = ConnectionStatus(rawValue: 1 << 5)
}
