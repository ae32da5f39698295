// SPDX-License-Identifier: GPL-3.0-or-later
//
// Named sets and maps. Keys and data are bytes as they lie in a packet (or, for device names, as the kernel compares
// them: 16 bytes, filled up with zeros).

public import RouterKit

/// The type of a key or of a map's data.
public struct DataType: Hashable, Sendable {
  /// nft's own number for the type. The kernel only stores it, `nft list` needs it.
  public let identifier: UInt32
  /// The length of a value in bytes.
  public let length: UInt32
  /// Whether a value is a number in the byte order of the host rather than in network order.
  public let isHostOrder: Bool

  init(identifier: UInt32, length: UInt32, isHostOrder: Bool = false) {
    self.identifier = identifier
    self.length = length
    self.isHostOrder = isHostOrder
  }

  /// An IPv4 address.
  public static let ipv4Address = DataType(identifier: 7, length: 4)
  /// An IPv6 address.
  public static let ipv6Address = DataType(identifier: 8, length: 16)
  /// An IP protocol number.
  public static let ipProtocol = DataType(identifier: 12, length: 1)
  /// A TCP or UDP port; ICMP identifiers are kept as ports too.
  public static let port = DataType(identifier: 13, length: 2)
  /// An ICMP type.
  public static let icmpType = DataType(identifier: 14, length: 1)
  /// An IPv4 address and a port behind it.
  public static let ipv4Endpoint = joint(ipv4Address, port)
  /// A port, then an IPv4 address and a port.
  public static let portAndIPv4Endpoint = joint(port, ipv4Address, port)

  /// Values in a row, each filled up to a multiple of four bytes. nft's number has six bits for each.
  private static func joint(_ parts: DataType...) -> DataType {
    parts.dropFirst().reduce(parts[0].filled) {
      DataType(identifier: $0.identifier << 6 | $1.identifier, length: $0.length + $1.filled.length)
    }
  }

  private var filled: DataType {
    DataType(identifier: identifier, length: (length + 3) & ~3)
  }

  /// The name of a network device.
  public static let deviceName = DataType(identifier: 41, length: 16, isHostOrder: true)
}

/// What makes a set one that rules add elements to.
public struct DynamicSet: Hashable, Sendable {
  /// How long an element lives after the last rule that mentioned it, in seconds.
  public let timeout: UInt32
  /// A note in the kernel's copy, at most 126 bytes. A set with another note is another set: its elements are worth
  /// nothing any more.
  public let comment: String

  /// Describes a dynamic set.
  public init(timeout: UInt32, comment: String) {
    self.timeout = timeout
    self.comment = comment
  }

  /// The most elements of a dynamic set, one for each port there can be.
  static let size: UInt32 = 1 << 16
}

/// A named set or map.
public struct NamedSet: Hashable, Sendable {
  /// The name, unique in its table.
  public let name: String
  /// The type of the keys.
  public let key: DataType
  /// The type of the data, which makes this a map; nothing for a set.
  public let data: DataType?
  /// Nothing for a set whose elements are written here. The elements of a dynamic set come and go by themselves; they
  /// are no part of this value.
  public let dynamic: DynamicSet?
  /// The elements: data by key. The data of a set's elements is empty.
  public var elements: [[UInt8]: [UInt8]]
  /// Flags of the kernel (`NFT_SET_…`) apart from those that say "map" and "dynamic". What routerd makes has none.
  let flags: UInt32

  init(
    name: String, key: DataType, data: DataType?, dynamic: DynamicSet? = nil, elements: [[UInt8]: [UInt8]],
    flags: UInt32
  ) {
    self.name = name
    self.key = key
    self.data = data
    self.dynamic = dynamic
    self.elements = elements
    self.flags = flags
  }

  /// Makes a set.
  public init(name: String, of key: DataType, _ keys: some Sequence<[UInt8]>) {
    self.init(
      name: name, key: key, data: nil, elements: Dictionary(keys.map { ($0, []) }) { first, _ in first }, flags: 0)
  }

  /// Makes a map.
  public init(name: String, from key: DataType, to data: DataType, _ elements: [[UInt8]: [UInt8]]) {
    self.init(name: name, key: key, data: data, elements: elements, flags: 0)
  }

  /// Makes a set or map that rules add elements to.
  public init(name: String, from key: DataType, to data: DataType? = nil, _ dynamic: DynamicSet) {
    self.init(name: name, key: key, data: data, dynamic: dynamic, elements: [:], flags: 0)
  }

  /// Makes a set of device names; names of more than 15 bytes cannot exist and are cut.
  public init(name: String, devices: some Sequence<String>) {
    self.init(
      name: name, of: .deviceName,
      devices.map { Array(($0.utf8.prefix(15) + Array(repeating: 0, count: 16)).prefix(16)) })
  }

  /// Makes a set of IPv6 addresses.
  public init(name: String, addresses: some Sequence<IPv6Address>) {
    self.init(name: name, of: .ipv6Address, addresses.map(\.bytes))
  }
}
