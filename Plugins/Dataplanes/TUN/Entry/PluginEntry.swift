// SPDX-License-Identifier: GPL-3.0-or-later
//
// The plugin's entry.

internal import RouterKit
internal import TUN

/// Registers the dataplane; the loader looks this function up by its C name.
@c(routerd_plugin_main)
public func registerTUN(_ registrar: UnsafeMutableRawPointer) {
  PluginRegistrar.run(registrar) { (registrar) throws(PluginError) in
    try registrar.register(TUNProvider(id: registrar.id))
  }
}
