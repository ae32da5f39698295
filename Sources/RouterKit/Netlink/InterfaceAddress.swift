// SPDX-License-Identifier: GPL-3.0-or-later
//
// An address on an interface, for both families.

public import RouterKit

/// An address on an interface.
public struct InterfaceAddress<Address: IPAddress>: Hashable, Sendable {
  /// The interface.
  public var interfaceIndex: UInt32
  /// The address itself.
  public var address: Address
  /// The length of the prefix that is on the link, 32 or 128 for a lone address.
  public var prefixLength: Int
  /// What the kernel or the one who added it says about it.
  public var flags: AddressFlags
  /// How long the address may still be the source of new traffic; zero means: never choose it by itself.
  public var preferredLifetime: AddressLifetime
  /// How long the address still exists.
  public var validLifetime: AddressLifetime
  /// Who added it.
  public var `protocol`: AddressProtocol
  /// How far the address is known.
  public var scope: RoutingScope

  /// Makes an address to be added. The defaults are a permanent address that routerd owns.
  public init(
    interfaceIndex: UInt32, address: Address, prefixLength: Int = Address.bitCount, flags: AddressFlags = [],
    preferredLifetime: AddressLifetime = .forever, validLifetime: AddressLifetime = .forever,
    protocol: AddressProtocol = .routerd, scope: RoutingScope = .universe
  ) {
    self.interfaceIndex = interfaceIndex
    self.address = address
    self.prefixLength = prefixLength
    self.flags = flags
    self.preferredLifetime = preferredLifetime
    self.validLifetime = validLifetime
    self.protocol = `protocol`
    self.scope = scope
  }
}

extension InterfaceAddress {
  /// Whether packets may use the address: duplicate address detection has not failed, and it is over or need not be waited
  /// for (RFC 4429).
  public var isUsable: Bool {
    !flags.contains(.duplicateDetected) && (!flags.contains(.tentative) || flags.contains(.optimistic))
  }
}

/// What is said about an address (`IFA_F_…` in `linux/if_addr.h`).
public struct AddressFlags: OptionSet, Hashable, Sendable {
  /// The kernel's bits.
  public let rawValue: UInt32

  /// Makes flags from the kernel's bits.
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// An IPv6 temporary (privacy) address, made by the kernel; on IPv4 a secondary one.
  public static let temporary: AddressFlags = AddressFlags(rawValue: 0x01)
  /// No duplicate address detection.
  public static let noDuplicateDetection: AddressFlags = AddressFlags(rawValue: 0x02)
  /// May be used while duplicate address detection runs.
  public static let optimistic: AddressFlags = AddressFlags(rawValue: 0x04)
  /// Somebody else on the link has the address: `dadfailed`.
  public static let duplicateDetected: AddressFlags = AddressFlags(rawValue: 0x08)
  /// The preferred lifetime is over.
  public static let deprecated: AddressFlags = AddressFlags(rawValue: 0x20)
  /// Duplicate address detection is not through yet (it stays so when it failed).
  public static let tentative: AddressFlags = AddressFlags(rawValue: 0x40)
  /// Has no end, and stays when the interface goes down.
  public static let permanent: AddressFlags = AddressFlags(rawValue: 0x80)
  /// The kernel makes temporary addresses out of this one: `mngtmpaddr`.
  public static let managesTemporaryAddresses: AddressFlags = AddressFlags(rawValue: 0x100)
  /// The kernel makes no route to the prefix.
  public static let noPrefixRoute: AddressFlags = AddressFlags(rawValue: 0x200)
  /// The interface identifier was made after RFC 7217.
  public static let stablePrivacy: AddressFlags = AddressFlags(rawValue: 0x800)

  /// Those that one who adds an address decides on; the kernel looks after the others.
  static let settable: AddressFlags = [
    .noDuplicateDetection, .optimistic, .managesTemporaryAddresses, .noPrefixRoute,
  ]
}

/// The rest of a lifetime, in the kernel's whole seconds.
public enum AddressLifetime: Hashable, Sendable {
  /// No end.
  case forever
  /// So many seconds from now.
  case seconds(UInt32)

  /// The kernel's number, in which all ones have no end.
  var rawValue: UInt32 {
    switch self {
    case .forever: .max
    case .seconds(let seconds): seconds
    }
  }

  init(rawValue: UInt32) {
    self = rawValue == .max ? .forever : .seconds(rawValue)
  }
}

/// Who added an address (`IFA_PROTO`; not the same numbers as ``RouteProtocol``).
public struct AddressProtocol: RawRepresentable, Hashable, Sendable {
  /// The kernel's number.
  public let rawValue: UInt8

  /// Makes one from the kernel's number.
  public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  /// Not said, as with most tools.
  public static let unspecified: AddressProtocol = AddressProtocol(rawValue: 0)
  /// The kernel, out of a router advertisement.
  public static let kernelRouterAdvertisement: AddressProtocol = AddressProtocol(rawValue: 2)
  /// routerd.
  public static let routerd: AddressProtocol = AddressProtocol(rawValue: RouteProtocol.routerd.rawValue)
  /// routerd, for the addresses of a line that it runs.
  public static let routerdLine: AddressProtocol = AddressProtocol(rawValue: RouteProtocol.routerdLine.rawValue)

  /// Whether routerd added the address.
  public var isRouterds: Bool { self == .routerd || self == .routerdLine }
}
