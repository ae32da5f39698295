// SPDX-License-Identifier: GPL-3.0-or-later
//
// Routes: list, add, remove. A table number can be larger than the byte in the header, so the attribute always goes along
// and wins when read.

import CMNL
import Glibc
public import RouterKit

extension NetlinkSocket {
  /// The routes of a family, without cached ones. The kernel does the filtering.
  /// - Parameters:
  ///   - table: only this table; one that does not exist has none.
  ///   - protocol: only those added by this one.
  public mutating func routes<Address: IPAddress>(
    _ family: Address.Type = Address.self, table: RouteTable? = nil, protocol: RouteProtocol? = nil
  ) throws(NetlinkError) -> [Route<Address>] {
    var header = rtmsg()
    header.rtm_family = Address.family
    header.rtm_protocol = `protocol`?.rawValue ?? 0
    var request = MessageWriter(RTM_GETROUTE, flags: NLM_F_DUMP)
    request.putFamilyHeader(header)
    if let table { request.put(Int(RTA_TABLE.rawValue), table.rawValue) }
    do throws(NetlinkError) {
      return try dump(request, operation: "list the \(Address.familyName) routes").compactMap { Route($0) }
    } catch {
      guard error.code == ENOENT && table != nil else { throw error }
      return []
    }
  }

  /// Adds a route.
  /// - Parameter ifExists: whether a route counts as being there is decided by table, destination and metric alone;
  ///   ``ExistingObject/replace`` therefore also takes over one that somebody else made.
  public mutating func addRoute<Address: IPAddress>(
    _ route: Route<Address>, ifExists: ExistingObject
  ) throws(NetlinkError) {
    var request = MessageWriter(RTM_NEWROUTE, flags: ifExists.flags)
    request.putIdentity(of: route, scope: route.scope)
    if let source = route.preferredSource { request.put(Int(RTA_PREFSRC.rawValue), source) }
    if let mtu = route.mtu {
      request.nest(Int(RTA_METRICS.rawValue)) { $0.put(Int(RTAX_MTU), mtu) }
    }
    try self.request(request, operation: "add the route \(route.name)")
  }

  /// Removes a route; table, destination, metric, protocol, kind, interface and gateway say which one. Metric 0 means
  /// any metric to the kernel.
  public mutating func deleteRoute<Address: IPAddress>(_ route: Route<Address>) throws(NetlinkError) {
    var request = MessageWriter(RTM_DELROUTE)
    request.putIdentity(of: route, scope: .nowhere)
    try self.request(request, operation: "remove the route \(route.name)")
  }
}

extension Route {
  /// Reads a route message; nothing if it is of another kind or family, cached, or broken.
  init?(_ message: Message) {
    guard message.type == UInt16(RTM_NEWROUTE), let header = message.familyHeader(rtmsg.self),
      header.rtm_family == Address.family, header.rtm_flags & UInt32(RTM_F_CLONED) == 0,
      header.rtm_dst_len <= Address.bitCount
    else { return nil }
    let attributes = message.attributes(after: rtmsg.self)
    func address(_ type: rtattr_type_t) -> Address? {
      attributes[Int(type.rawValue)].flatMap { Address(networkBytes: $0) }
    }
    // Only the default route may come without a destination.
    guard let destination = address(RTA_DST) ?? (header.rtm_dst_len == 0 ? Address(bits: 0) : nil) else { return nil }
    self.init(
      destination: IPPrefix(of: destination, length: Int(header.rtm_dst_len)), gateway: address(RTA_GATEWAY),
      interfaceIndex: attributes.load(Int(RTA_OIF.rawValue), as: UInt32.self),
      table: RouteTable(
        rawValue: attributes.load(Int(RTA_TABLE.rawValue), as: UInt32.self) ?? UInt32(header.rtm_table)),
      protocol: RouteProtocol(rawValue: header.rtm_protocol),
      metric: attributes.load(Int(RTA_PRIORITY.rawValue), as: UInt32.self) ?? 0,
      preferredSource: address(RTA_PREFSRC), kind: RouteKind(rawValue: header.rtm_type),
      scope: RoutingScope(rawValue: header.rtm_scope),
      mtu: attributes.nest(Int(RTA_METRICS.rawValue)).load(Int(RTAX_MTU), as: UInt32.self))
  }

  fileprivate var name: String {
    let parts = [
      "\(destination)", gateway.map { "via \($0)" }, interfaceIndex.map { "on interface \($0)" },
      "metric \(metric)", table == .main ? nil : "in table \(table.rawValue)",
    ]
    return parts.compactMap(\.self).joined(separator: " ")
  }
}

extension MessageWriter {
  fileprivate mutating func putIdentity<Address: IPAddress>(of route: Route<Address>, scope: RoutingScope) {
    var header = rtmsg()
    header.rtm_family = Address.family
    header.rtm_dst_len = UInt8(clamping: route.destination.length)
    header.rtm_table = UInt8(exactly: route.table.rawValue) ?? 0
    header.rtm_protocol = route.protocol.rawValue
    header.rtm_scope = scope.rawValue
    header.rtm_type = route.kind.rawValue
    putFamilyHeader(header)
    if route.destination.length > 0 { put(Int(RTA_DST.rawValue), route.destination.address) }
    if let gateway = route.gateway { put(Int(RTA_GATEWAY.rawValue), gateway) }
    if let interfaceIndex = route.interfaceIndex { put(Int(RTA_OIF.rawValue), interfaceIndex) }
    put(Int(RTA_TABLE.rawValue), route.table.rawValue)
    if route.metric != 0 { put(Int(RTA_PRIORITY.rawValue), route.metric) }
  }
}
