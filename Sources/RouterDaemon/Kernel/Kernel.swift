// SPDX-License-Identifier: GPL-3.0-or-later
//
// The kernel as the reconciler sees it: look, and carry out one change after another. Sockets are opened for each use;
// that costs microseconds and leaves nothing that could go stale.

import Conntrack
import NFTables
import Netlink
import PortSetNAT
import RouterCore
import RouterKit

struct Kernel: Sendable {
  let dataplane: any Dataplane
  let settings: SettingsRecord

  /// Looks at everything that a plan depends on.
  /// - Parameter tunnel: the wanted tunnel.
  func observe(_ tunnel: TunnelSpec) async throws -> ObservedState {
    var observed = try Self.observe()
    observed.tunnel = try await dataplane.observe(tunnel)
    return observed
  }

  /// Looks at everything but the tunnel, for which a dataplane would be needed.
  static func observe() throws -> ObservedState {
    var netlink = try NetlinkSocket()
    let nftables = try NFTablesSocket()
    return ObservedState(
      links: try netlink.links(), ipv6Addresses: try netlink.addresses(), ipv4Addresses: try netlink.addresses(),
      ipv4Routes: try netlink.routes(table: .main), ipv6Routes: try netlink.routes(table: .main),
      table: try nftables.observe(table: NATSpec.tableName))
  }

  /// Carries out one change.
  /// - Parameter observed: what the change was planned from.
  func apply(_ change: KernelChange, observed: ObservedState) async throws {
    switch change {
    case .applyTunnel(let tunnel):
      try await dataplane.apply(tunnel)
    case .removeDevice(let name):
      try await dataplane.remove(deviceName: name)
    case .applyTable(let table):
      let nftables = try NFTablesSocket()
      try nftables.apply(plan(from: observed.table, to: table))
    case .setIPv4Settings(let interface, let index, let settings):
      if let link = observed.link(named: interface), !link.isRouterds {
        try self.settings.remember(link, changing: settings.keys)
      }
      var netlink = try NetlinkSocket()
      try netlink.setIPv4Settings(index, settings)
    default:
      try Self.apply(change)
    }
  }

  /// Carries out a change for which neither dataplane nor record is needed.
  private static func apply(_ change: KernelChange) throws {
    var netlink = try NetlinkSocket()
    switch change {
    case .forgetFlows(let address, let ports):
      let conntrack = try ConntrackSocket()
      _ = try conntrack.deleteEntries(of: address, ports: ports)
    case .addIPv6Address(let address): try netlink.addAddress(address, ifExists: .replace)
    case .addIPv4Address(let address): try netlink.addAddress(address, ifExists: .replace)
    case .setRoute(let route): try netlink.addRoute(route, ifExists: .replace)
    case .removeIPv6Address(let address):
      try ignoringGone { () throws(NetlinkError) in try netlink.deleteAddress(address) }
    case .removeIPv4Address(let address):
      try ignoringGone { () throws(NetlinkError) in try netlink.deleteAddress(address) }
    case .setIPv6Route(let route): try netlink.addRoute(route, ifExists: .replace)
    case .removeRoute(let route): try ignoringGone { () throws(NetlinkError) in try netlink.deleteRoute(route) }
    case .removeIPv6Route(let route): try ignoringGone { () throws(NetlinkError) in try netlink.deleteRoute(route) }
    case .applyTunnel, .removeDevice, .applyTable, .setIPv4Settings: break
    }
  }

  /// What is gone already need not be removed.
  private static func ignoringGone(_ remove: () throws(NetlinkError) -> Void) throws(NetlinkError) {
    do {
      try remove()
    } catch  where error.isAlreadyGone {
      return
    }
  }

  /// Removes everything that routerd made and puts settings back that it changed. No plugin has a part in it, so that it
  /// works when one is gone: while no daemon runs, a tunnel device is a device like any other. What fails does not keep
  /// the rest.
  /// - Throws: the first failure.
  static func teardown(_ settings: SettingsRecord) throws {
    let observed = try observe()
    var failure: (any Error)?
    func attempt(_ step: () throws -> Void) {
      do { try step() } catch { failure = failure ?? error }
    }
    for change in observed.teardown {
      attempt {
        guard case .removeDevice(let name) = change, let link = observed.link(named: name) else {
          return try apply(change)
        }
        var netlink = try NetlinkSocket()
        try ignoringGone { () throws(NetlinkError) in try netlink.deleteLink(link.index) }
      }
    }
    attempt {
      let nftables = try NFTablesSocket()
      try nftables.delete(table: NATSpec.tableName)
    }
    attempt { try settings.restore(observed.links) }
    if let failure { throw failure }
  }

  /// Dropped packets by reason: the table's and the dataplane's own.
  /// - Parameter prefix: put before the dataplane's names.
  func counters(dataplanePrefix prefix: String) throws -> [String: UInt64] {
    let nftables = try NFTablesSocket()
    let table = try nftables.counters(table: NATSpec.tableName).mapValues(\.packets)
    let own = dataplane.counters().map { ("\(prefix)_\($0.key)", $0.value) }
    return table.merging(own) { first, _ in first }
  }
}
