// SPDX-License-Identifier: GPL-3.0-or-later
//
// Addresses: list, add, remove. The flags are an attribute of 32 bits, of which the header has room for eight; the
// lifetimes are a struct. IPv4 calls our own address IFA_LOCAL (IFA_ADDRESS is the other end of a point-to-point link),
// IPv6 has IFA_LOCAL only when there is another end; so the local one is looked for first.

import CMNL
import Glibc
public import RouterKit

extension NetlinkSocket {
  /// The addresses of a family.
  /// - Parameter interface: only those of this interface; one that does not exist has none.
  public mutating func addresses<Address: IPAddress>(
    _ family: Address.Type = Address.self, interface: UInt32? = nil
  ) throws(NetlinkError) -> [InterfaceAddress<Address>] {
    var header = ifaddrmsg()
    header.ifa_family = Address.family
    header.ifa_index = interface ?? 0
    var request = MessageWriter(RTM_GETADDR, flags: NLM_F_DUMP)
    request.putFamilyHeader(header)
    do throws(NetlinkError) {
      return try dump(request, operation: "list the \(Address.familyName) addresses")
        .compactMap { InterfaceAddress($0) }
    } catch {
      guard error.code == ENODEV && interface != nil else { throw error }
      return []
    }
  }

  /// Adds an address.
  ///
  /// Of the flags only those count that one can choose (``AddressFlags/noPrefixRoute`` …). Success means that the kernel
  /// has it; an IPv6 address is usable only after duplicate address detection (``InterfaceAddress/isUsable``).
  public mutating func addAddress<Address: IPAddress>(
    _ address: InterfaceAddress<Address>, ifExists: ExistingObject
  ) throws(NetlinkError) {
    var request = MessageWriter(RTM_NEWADDR, flags: ifExists.flags)
    request.putIdentity(of: address)
    request.put(IFA_FLAGS, address.flags.intersection(.settable).rawValue)
    request.put(
      IFA_CACHEINFO,
      struct: ifa_cacheinfo(
        ifa_prefered: address.preferredLifetime.rawValue, ifa_valid: address.validLifetime.rawValue, cstamp: 0,
        tstamp: 0))
    request.put(IFA_PROTO, address.protocol.rawValue)
    try self.request(request, operation: "add the address \(address.name)")
  }

  /// Removes an address; interface, address and prefix length say which one.
  public mutating func deleteAddress<Address: IPAddress>(
    _ address: InterfaceAddress<Address>
  ) throws(NetlinkError) {
    var request = MessageWriter(RTM_DELADDR)
    request.putIdentity(of: address)
    try self.request(request, operation: "remove the address \(address.name)")
  }
}

extension InterfaceAddress {
  /// Reads an address message; nothing if it is of another kind or family or lacks the address.
  init?(_ message: Message) {
    guard message.type == UInt16(RTM_NEWADDR), let header = message.familyHeader(ifaddrmsg.self),
      header.ifa_family == Address.family
    else { return nil }
    let attributes = message.attributes(after: ifaddrmsg.self)
    guard let bytes = attributes[IFA_LOCAL] ?? attributes[IFA_ADDRESS],
      let address = Address(networkBytes: bytes)
    else { return nil }
    let lifetimes = attributes.load(IFA_CACHEINFO, as: ifa_cacheinfo.self)
    self.init(
      interfaceIndex: header.ifa_index, address: address, prefixLength: Int(header.ifa_prefixlen),
      flags: AddressFlags(
        rawValue: attributes.load(IFA_FLAGS, as: UInt32.self) ?? UInt32(header.ifa_flags)),
      preferredLifetime: AddressLifetime(rawValue: lifetimes?.ifa_prefered ?? .max),
      validLifetime: AddressLifetime(rawValue: lifetimes?.ifa_valid ?? .max),
      protocol: AddressProtocol(rawValue: attributes.load(IFA_PROTO, as: UInt8.self) ?? 0),
      scope: RoutingScope(rawValue: header.ifa_scope))
  }

  fileprivate var name: String {
    "\(address)/\(prefixLength) on interface \(interfaceIndex)"
  }
}

extension MessageWriter {
  fileprivate mutating func putIdentity<Address: IPAddress>(of address: InterfaceAddress<Address>) {
    var header = ifaddrmsg()
    header.ifa_family = Address.family
    header.ifa_prefixlen = UInt8(clamping: address.prefixLength)
    header.ifa_scope = address.scope.rawValue
    header.ifa_index = address.interfaceIndex
    putFamilyHeader(header)
    put(IFA_LOCAL, address.address)
    put(IFA_ADDRESS, address.address)
  }
}

extension IPAddress {
  /// The family's name in messages for people.
  static var familyName: String {
    bitCount == 32 ? "IPv4" : "IPv6"
  }
}
