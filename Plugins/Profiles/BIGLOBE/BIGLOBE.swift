// SPDX-License-Identifier: GPL-3.0-or-later
//
// BIGLOBE IPv6 option (MAP-E): the rules lie in BIGLOBE.rules. BIGLOBE runs an eastern and a western relay; a line sends
// to the one of its rule, and an answer from the other is genuine.

internal import RouterKit

struct BIGLOBEProfile: MAPEProfile {
  let id: PluginID
  let title = "BIGLOBE IPv6 option (MAP-E)"
  let table: RuleTable

  func allowedRelays(for rule: MappingRule) -> [IPv6Address] {
    guard let own = rule.borderRelay else { return [] }
    return [own] + Set(table.entries.compactMap(\.rule.borderRelay)).subtracting([own]).sorted()
  }
}

@c(routerd_plugin_main)
public func registerPlugin(_ registrar: UnsafeMutableRawPointer) {
  PluginRegistrar.run(registrar) { registrar throws(PluginError) in
    try registrar.register(BIGLOBEProfile(id: registrar.id, table: registrar.ruleTable()))
  }
}
