// SPDX-License-Identifier: GPL-3.0-or-later
//
// v6plus (JPNE/JPIX MAP-E). The rules lie in V6Plus.rules; who has a key of his own to JPNE's
// rule server asks that first.

internal import RouterKit

/// What the loader calls: the list of what this plugin provides.
@c(routerd_plugin_main)
public func registerPlugin(_ registrar: UnsafeMutableRawPointer) {
  PluginRegistrar.run(registrar) { registrar throws(PluginError) in
    try registrar.register(
      RuleTableProfile(
        id: registrar.id, title: "v6plus (JPNE/JPIX MAP-E)", table: registrar.ruleTable(),
        learnedSources: [.dhcpv6S46, .jpneAPI(base: "https://api.enabler.ne.jp")]))
  }
}
