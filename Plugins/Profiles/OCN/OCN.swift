// SPDX-License-Identifier: GPL-3.0-or-later
//
// OCN Virtual Connect (MAP-E). The rules lie in OCN.rules; each names the relay. Who has a key of his
// own to OCN's rule server asks that first.

internal import RouterKit

/// What the loader calls: the list of what this plugin provides.
@c(routerd_plugin_main)
public func registerPlugin(_ registrar: UnsafeMutableRawPointer) {
  PluginRegistrar.run(registrar) { registrar throws(PluginError) in
    try registrar.register(
      RuleTableProfile(
        id: registrar.id, title: "OCN Virtual Connect (MAP-E)", table: registrar.ruleTable(),
        learnedSources: [.dhcpv6S46, .ocnAPI(url: "https://rule.map.ocn.ad.jp/")]))
  }
}
