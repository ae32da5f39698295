// SPDX-License-Identifier: GPL-3.0-or-later
//
// From the line's addresses and routes that are to those that should be: first what is missing, then what is left over.
// Only what carries the line's own mark is ever removed.

import Netlink
import RouterKit

/// The way to the wanted addresses and routes of the line.
public struct LinePlan: Hashable, Sendable {
  /// What to do, in this order.
  public private(set) var changes: [KernelChange] = []
  /// Things that should be looked at, as sentences.
  public private(set) var warnings: [String] = []

  /// Plans the way.
  /// - Parameter desired: nothing where routerd does not run the line.
  public init(desired: DesiredLine?, observed: ObservedState) {
    for address in desired?.addresses ?? [] {
      let present = observed.ipv6Addresses.first {
        ($0.interfaceIndex, $0.address) == (address.interfaceIndex, address.address)
      }
      if let present, present.flags.contains(.duplicateDetected) {
        warnings.append("\(address.address) is in use by another device on the line")
      }
      // An address that somebody else has put there serves as well, for as long as it stays.
      let isRight =
        present.map {
          $0.protocol != .routerdLine
            || ($0.preferredLifetime == .seconds(0)) == (address.preferredLifetime == .seconds(0))
        } ?? false
      if !isRight { changes.append(.addIPv6Address(address)) }
    }
    for route in desired?.routes ?? [] where !observed.ipv6Routes.contains(route) {
      changes.append(.setIPv6Route(route))
    }
    changes += observed.ipv6Routes.filter { route in
      route.protocol == .routerdLine && !(desired?.routes.contains { $0.isSameObject(as: route) } ?? false)
    }.map { .removeIPv6Route($0) }
    changes += observed.ipv6Addresses.filter { address in
      address.protocol == .routerdLine
        && !(desired?.addresses.contains {
          ($0.interfaceIndex, $0.address) == (address.interfaceIndex, address.address)
        } ?? false)
    }.map { .removeIPv6Address($0) }
  }
}
