// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the kernel should have of the line itself where routerd runs it (`mode = "manage"`): the router's own addresses on
// the WAN interface, what is on the link, the default routes, and the prefix that was delegated.

public import Netlink
public import RouterKit

/// The addresses and routes of a line that routerd runs. They carry a mark of their own (``RouteProtocol/routerdLine``),
/// so that they and the softwire's never mix.
public struct DesiredLine: Hashable, Sendable {
  /// The addresses on the WAN interface.
  public let addresses: [InterfaceAddress<IPv6Address>]
  /// The routes.
  public let routes: [Route<IPv6Address>]

  /// The metric of the first default route; further routers follow one by one.
  static let defaultRouteMetric: UInt32 = 1024
  /// The metric of what is on the link, as the kernel itself has it.
  static let onLinkMetric: UInt32 = 256

  /// The wanted state.
  /// - Parameters:
  ///   - gateway: a next hop that the operator gave, before every router that advertises itself.
  ///   - observed: where interfaces and the interface identifier come from.
  /// - Returns: nothing if there is no such interface yet.
  public init?(_ line: LineState, interface: String, gateway: IPv6Address?, observed: ObservedState) {
    guard let wan = observed.link(named: interface) else { return nil }
    var addresses: [InterfaceAddress<IPv6Address>] = []
    var routes: [Route<IPv6Address>] = []
    let identifier = observed.interfaceIdentifier(of: wan)
    func address(in prefix: IPv6Prefix, length: Int, isPreferred: Bool) {
      guard let identifier else { return }
      let subnet = IPv6Prefix(of: prefix.address, length: 64).address.bits
      addresses.append(
        InterfaceAddress(
          interfaceIndex: wan.index, address: IPv6Address(bits: subnet | UInt128(identifier)), prefixLength: length,
          flags: [.noPrefixRoute], preferredLifetime: isPreferred ? .forever : .seconds(0), protocol: .routerdLine))
    }
    for each in line.prefixes {
      switch each.origin {
      case .advertised(let isOnLink, let isAutonomous):
        if isAutonomous, each.prefix.length == 64 {
          address(in: each.prefix, length: 64, isPreferred: each.isPreferred)
        }
        if isOnLink {
          routes.append(
            Route(
              destination: each.prefix, interfaceIndex: wan.index, protocol: .routerdLine, metric: Self.onLinkMetric))
        }
      case .delegated:
        // What nobody uses of it must not go back to where it came from, which would send it here again.
        if let loopback = observed.link(named: "lo") {
          routes.append(
            Route(
              destination: each.prefix, interfaceIndex: loopback.index, protocol: .routerdLine,
              metric: Self.defaultRouteMetric, kind: .unreachable))
        }
      }
    }
    if addresses.isEmpty,
      let delegated = line.prefixes.first(where: { $0.origin == .delegated && $0.prefix.length <= 64 })
    {
      // A line that gives no address of its own: the router's questions to resolvers and rule servers need one.
      address(in: delegated.prefix, length: 128, isPreferred: delegated.isPreferred)
    }
    let routers = line.routers.sorted { $0.preference > $1.preference }.map(\.address)
    for (rank, router) in ((gateway.map { [$0] } ?? []) + routers.filter { $0 != gateway }).prefix(8).enumerated() {
      routes.append(
        Route(
          destination: IPv6Prefix(of: IPv6Address(bits: 0), length: 0), gateway: router, interfaceIndex: wan.index,
          protocol: .routerdLine, metric: Self.defaultRouteMetric + UInt32(rank),
          mtu: line.mtu.flatMap { (1280..<Int(wan.mtu)).contains($0) ? UInt32($0) : nil }))
    }
    self.addresses = addresses
    self.routes = routes
  }
}

extension ObservedState {
  /// The interface identifier that the kernel gave the interface's link-local address; else the modified EUI-64 of its
  /// link-layer address (RFC 4291 appendix A).
  func interfaceIdentifier(of link: Link) -> UInt64? {
    let linkLocal = ipv6Addresses.first { $0.interfaceIndex == link.index && $0.address.isLinkLocal }
    if let linkLocal { return UInt64(truncatingIfNeeded: linkLocal.address.bits) }
    guard link.hardwareAddress.count == 6 else { return nil }
    let bytes = link.hardwareAddress[..<3] + [0xff, 0xfe] + link.hardwareAddress[3...]
    return bytes.reduce(0) { $0 << 8 | UInt64($1) } ^ 1 << 57
  }
}
