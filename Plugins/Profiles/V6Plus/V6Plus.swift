// SPDX-License-Identifier: GPL-3.0-or-later
//
// v6plus (JPNE/JPIX MAP-E): the rules lie in V6Plus.rules; everything else is what MAP-E profiles have in common.

internal import RouterKit

struct V6PlusProfile: MAPEProfile {
  let id: PluginID
  let title = "v6plus (JPNE/JPIX MAP-E)"
  let table: RuleTable
}

@c(routerd_plugin_main)
public func registerPlugin(_ registrar: UnsafeMutableRawPointer) {
  PluginRegistrar.run(registrar) { registrar throws(PluginError) in
    try registrar.register(V6PlusProfile(id: registrar.id, table: registrar.ruleTable()))
  }
}
