// SPDX-License-Identifier: GPL-3.0-or-later
//
// NURO Hikari (MAP-E): the rules lie in NURO.rules; everything else is what MAP-E profiles have in common.

internal import RouterKit

struct NUROProfile: MAPEProfile {
  let id: PluginID
  let title = "NURO Hikari (MAP-E)"
  let table: RuleTable
}

@c(routerd_plugin_main)
public func registerPlugin(_ registrar: UnsafeMutableRawPointer) {
  PluginRegistrar.run(registrar) { registrar throws(PluginError) in
    try registrar.register(NUROProfile(id: registrar.id, table: registrar.ruleTable()))
  }
}
