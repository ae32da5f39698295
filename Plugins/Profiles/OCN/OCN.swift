// SPDX-License-Identifier: GPL-3.0-or-later
//
// OCN Virtual Connect (MAP-E): the rules lie in OCN.rules; everything else is what MAP-E profiles have in common.

internal import RouterKit

struct OCNProfile: MAPEProfile {
  let id: PluginID
  let title = "OCN Virtual Connect (MAP-E)"
  let table: RuleTable
}

@c(routerd_plugin_main)
public func registerPlugin(_ registrar: UnsafeMutableRawPointer) {
  PluginRegistrar.run(registrar) { registrar throws(PluginError) in
    try registrar.register(OCNProfile(id: registrar.id, table: registrar.ruleTable()))
  }
}
