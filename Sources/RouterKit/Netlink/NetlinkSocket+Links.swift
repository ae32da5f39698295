// SPDX-License-Identifier: GPL-3.0-or-later
//
// Links: look, set, remove. Per-interface IPv4 settings travel here too, because routerd may not write to /proc/sys:
// they are nested IFLA_AF_SPEC, AF_INET, IFLA_INET_CONF in a link message. When read they come as an array that begins
// with setting 1, when written as attributes whose type is the setting.

import CMNL
import Glibc

extension NetlinkSocket {
  /// All interfaces.
  public mutating func links() throws(NetlinkError) -> [Link] {
    var request = MessageWriter(RTM_GETLINK, flags: NLM_F_DUMP)
    request.putFamilyHeader(ifinfomsg())
    request.putLinkFilter()
    return try dump(request, operation: "list the interfaces").compactMap { Link($0) }
  }

  /// The interface of this name, or nothing if there is none.
  public mutating func link(named name: String) throws(NetlinkError) -> Link? {
    // A name that no interface can have is an error to the kernel, but only one more missing interface to us.
    guard (1...15).contains(name.utf8.count), !name.utf8.contains(0) else { return nil }
    var request = MessageWriter(RTM_GETLINK)
    request.putFamilyHeader(ifinfomsg())
    request.put(IFLA_IFNAME, name)
    return try link(request, operation: "look at the interface \(name)")
  }

  /// The interface of this index, or nothing if there is none.
  public mutating func link(index: UInt32) throws(NetlinkError) -> Link? {
    // The kernel counts in signed numbers and takes 0 for "not given".
    guard (1...UInt32(Int32.max)).contains(index) else { return nil }
    var request = MessageWriter(RTM_GETLINK)
    request.putFamilyHeader(ifinfomsg(index: index))
    return try link(request, operation: "look at interface \(index)")
  }

  private mutating func link(_ request: consuming MessageWriter, operation: String) throws(NetlinkError) -> Link? {
    request.putLinkFilter()
    do throws(NetlinkError) {
      return try self.request(request, operation: operation).lazy.compactMap { Link($0) }.first
    } catch {
      guard error.code == ENODEV else { throw error }
      return nil
    }
  }

  /// Changes what is given of an interface and leaves the rest as it is.
  /// - Parameters:
  ///   - alias: at most 255 bytes; an empty text removes it.
  ///   - makesIPv6Addresses: whether the kernel gives the interface a link-local address the next time it goes up;
  ///     `up` in the same request comes first.
  public mutating func setLink(
    _ index: UInt32, up: Bool? = nil, mtu: UInt32? = nil, alias: String? = nil, makesIPv6Addresses: Bool? = nil
  ) throws(NetlinkError) {
    var header = ifinfomsg(index: index)
    if let up {
      header.ifi_change = UInt32(IFF_UP.rawValue)
      header.ifi_flags = up ? UInt32(IFF_UP.rawValue) : 0
    }
    var request = MessageWriter(RTM_SETLINK)
    request.putFamilyHeader(header)
    if let mtu { request.put(IFLA_MTU, mtu) }
    if let alias { request.put(IFLA_IFALIAS, alias) }
    if let makesIPv6Addresses {
      let mode = makesIPv6Addresses ? IN6_ADDR_GEN_MODE_EUI64 : IN6_ADDR_GEN_MODE_NONE
      request.nest(IFLA_AF_SPEC) { request in
        request.nest(Int(AF_INET6)) { request in
          request.put(IFLA_INET6_ADDR_GEN_MODE, UInt8(truncatingIfNeeded: mode.rawValue))
        }
      }
    }
    let changes = [
      up.map { $0 ? "up" : "down" }, mtu.map { "MTU \($0)" }, alias.map { "alias “\($0.prefix(64))”" },
      makesIPv6Addresses.map { $0 ? "IPv6 addresses" : "no IPv6 address" },
    ].compactMap(\.self)
    try self.request(request, operation: "set interface \(index) to \(changes.joined(separator: ", "))")
  }

  /// Changes the given per-interface IPv4 settings and leaves the others as they are.
  ///
  /// The host-wide entries under `conf/all` are out of reach; with ``IPv4Setting/reversePathFilter`` the larger number
  /// counts.
  public mutating func setIPv4Settings(_ index: UInt32, _ settings: [IPv4Setting: Int32]) throws(NetlinkError) {
    let settings = settings.sorted { $0.key.rawValue < $1.key.rawValue }
    var request = MessageWriter(RTM_SETLINK)
    request.putFamilyHeader(ifinfomsg(index: index))
    request.nest(IFLA_AF_SPEC) { request in
      request.nest(Int(AF_INET)) { request in
        request.nest(IFLA_INET_CONF) { request in
          for (setting, value) in settings {
            request.put(Int(setting.rawValue), UInt32(bitPattern: value))
          }
        }
      }
    }
    let changes = settings.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    try self.request(request, operation: "set IPv4 on interface \(index) to \(changes)")
  }

  /// Removes a virtual interface.
  public mutating func deleteLink(_ index: UInt32) throws(NetlinkError) {
    var request = MessageWriter(RTM_DELLINK)
    request.putFamilyHeader(ifinfomsg(index: index))
    try self.request(request, operation: "remove interface \(index)")
  }
}

extension Link {
  /// Reads a link message; nothing if it is of another kind or lacks index or name.
  init?(_ message: Message) {
    guard message.type == UInt16(RTM_NEWLINK), let header = message.familyHeader(ifinfomsg.self),
      header.ifi_index > 0
    else { return nil }
    let attributes = message.attributes(after: ifinfomsg.self)
    guard let name = attributes.text(IFLA_IFNAME) else { return nil }
    let information = attributes.nest(IFLA_LINKINFO)
    let kind = information.text(IFLA_INFO_KIND)
    self.init(
      index: UInt32(header.ifi_index), name: name, kind: kind,
      tunnel: kind == IPv6Tunnel.kind ? IPv6Tunnel(information.nest(IFLA_INFO_DATA)) : nil,
      alias: attributes.text(IFLA_IFALIAS),
      isUp: header.ifi_flags & UInt32(IFF_UP.rawValue) != 0,
      hasCarrier: header.ifi_flags & UInt32(IFF_LOWER_UP.rawValue) != 0,
      mtu: attributes.load(IFLA_MTU, as: UInt32.self) ?? 0,
      hardwareAddress: Array(attributes[IFLA_ADDRESS] ?? []),
      ipv4Settings: Self.ipv4Settings(
        attributes.nest(IFLA_AF_SPEC).nest(Int(AF_INET))[IFLA_INET_CONF] ?? []))
  }

  private static func ipv4Settings(_ values: ArraySlice<UInt8>) -> [IPv4Setting: Int32] {
    let settings = IPv4Setting.allCases.compactMap { setting in
      values.dropFirst((Int(setting.rawValue) - 1) * MemoryLayout<Int32>.size).load(Int32.self).map { (setting, $0) }
    }
    return Dictionary(settings) { first, _ in first }
  }
}

extension ifinfomsg {
  init(index: UInt32) {
    self.init()
    ifi_index = Int32(bitPattern: index)
  }
}

extension MessageWriter {
  /// Leaves out the counters, which are most of a link message.
  fileprivate mutating func putLinkFilter() {
    put(IFLA_EXT_MASK, UInt32(RTEXT_FILTER_SKIP_STATS))
  }
}
