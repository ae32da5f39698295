// SPDX-License-Identifier: GPL-3.0-or-later
//
// What `routerd teardown` removes: everything that carries routerd's marks, in the order in which nothing is left
// half-working. Traffic stops first (the route), then translation, then the tunnel.

import NFTables
import Netlink
import RouterKit

extension ObservedState {
  /// The removal of everything that routerd made. The table is removed apart from this: it is one object, whatever it
  /// holds.
  public var teardown: [KernelChange] {
    let devices = links.filter(\.isRouterds)
    return ipv4Routes.filter { $0.protocol == .routerd }.map { .removeRoute($0) }
      + ipv4Addresses.filter { $0.protocol == .routerd }.flatMap {
        [.removeIPv4Address($0), .forgetFlows($0.address)]
      }
      + devices.map { .removeDevice($0.name) }
      + ipv6Addresses.filter { $0.protocol.isRouterds }.map { .removeIPv6Address($0) }
      + ipv6Routes.filter { $0.protocol.isRouterds }.map { .removeIPv6Route($0) }
  }
}
