// SPDX-License-Identifier: GPL-3.0-or-later
//
// An ISP that does not exist, with the prefixes that are set aside for documentation. Its one rule is that of RFC 7597,
// appendix A, example 1; it lies in Example.rules.

internal import RouterKit

struct ExampleProfile: MAPEProfile {
  let id: PluginID
  let title = "Example ISP (MAP-E, documentation prefixes)"
  let table: RuleTable
}

/// The entry. `registrar.id` is the id from descriptor.c; `ruleTable()` reads the file beside the shared object.
@c(routerd_plugin_main)
public func registerPlugin(_ registrar: UnsafeMutableRawPointer) {
  PluginRegistrar.run(registrar) { registrar throws(PluginError) in
    try registrar.register(ExampleProfile(id: registrar.id, table: registrar.ruleTable()))
  }
}
