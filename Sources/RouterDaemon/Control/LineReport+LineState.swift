// SPDX-License-Identifier: GPL-3.0-or-later
//
// How the line and what was learned are reported.

import ControlProtocol
import RouterCore
import RouterKit

extension LineReport {
  init(_ line: LineState, mode: Configuration.WAN.Mode) {
    self.init(
      mode: mode.rawValue, routers: line.routers.map(\.address.description),
      prefixes: line.prefixes.map { prefix in
        LinePrefixReport(
          prefix: prefix.prefix.description, origin: prefix.origin == .delegated ? "delegated" : "advertised",
          isPreferred: prefix.isPreferred)
      }, resolvers: line.resolvers.map(\.description), mtu: line.mtu)
  }
}

extension SourceReport {
  init(_ source: RuleSource, _ answer: RuleBook.Answer?) {
    switch answer {
    case nil: self.init(name: source.description, state: .awaited)
    case .failed(let reason)?: self.init(name: source.description, state: .failed, reason: reason)
    case .learned(let rules)?:
      self.init(
        name: source.description, state: .answered,
        rules: rules.rules.count + rules.aftrs.count + rules.fixedIPs.count)
    }
  }
}
