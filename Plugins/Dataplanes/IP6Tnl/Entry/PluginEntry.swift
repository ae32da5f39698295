// SPDX-License-Identifier: GPL-3.0-or-later
//
// The plugin's entry.

internal import IP6Tnl
internal import RouterKit

/// Registers the dataplane; the loader looks this function up by its C name.
@c(routerd_plugin_main)
public func registerIP6Tnl(_ registrar: UnsafeMutableRawPointer) {
  PluginRegistrar.run(registrar) { (registrar) throws(PluginError) in
    try registrar.register(IP6TnlProvider(id: registrar.id))
  }
}
