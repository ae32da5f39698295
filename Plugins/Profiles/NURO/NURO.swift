// SPDX-License-Identifier: GPL-3.0-or-later
//
// NURO Hikari (MAP-E). The rules lie in NURO.rules, those that nobody has seen on a line marked as unconfirmed.

internal import RouterKit

/// What the loader calls: the list of what this plugin provides.
@c(routerd_plugin_main)
public func registerPlugin(_ registrar: UnsafeMutableRawPointer) {
  PluginRegistrar.run(registrar) { registrar throws(PluginError) in
    try registrar.register(
      RuleTableProfile(
        id: registrar.id, title: "NURO Hikari (MAP-E)", table: registrar.ruleTable(),
        learnedSources: [.dhcpv6S46, .hb46pp]))
  }
}
