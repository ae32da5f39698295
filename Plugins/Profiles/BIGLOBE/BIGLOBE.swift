// SPDX-License-Identifier: GPL-3.0-or-later
//
// BIGLOBE IPv6 option (MAP-E). The rules lie in BIGLOBE.rules. BIGLOBE runs an eastern and a western relay: a line sends to the one of its rule,
// and an answer from the other is genuine.

internal import RouterKit

/// What the loader calls: the list of what this plugin provides.
@c(routerd_plugin_main)
public func registerPlugin(_ registrar: UnsafeMutableRawPointer) {
  PluginRegistrar.run(registrar) { registrar throws(PluginError) in
    try registrar.register(
      RuleTableProfile(
        id: registrar.id, title: "BIGLOBE IPv6 option (MAP-E)", table: registrar.ruleTable(), acceptsEveryRelay: true))
  }
}
