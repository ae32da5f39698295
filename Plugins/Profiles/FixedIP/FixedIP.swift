// SPDX-License-Identifier: GPL-3.0-or-later
//
// A fixed IPv4 address over IPv4-in-IPv6, as VNEs sell it to those who run servers: by the numbers of the contract, or
// by those that HB46PP gives for it.

internal import RouterKit

struct FixedIPProfile: ISPProfile {
  let id: PluginID
  let title = "fixed IPv4 address over IPv4-in-IPv6 (v6plus, transix, OCN and others)"
  let isChosenByPrefix = false
  let softwireKinds: Set<SoftwireKind> = [.fixedIP]
  let relaySelector: any BRSelector = PreferredOrderSelector()

  func ruleSources(_ settings: ProfileSettings) throws(ProfileError) -> [RuleSource] {
    settings.fixedIP.map { [.fixedIP($0)] } ?? [.hb46pp]
  }

  func softwire(
    for facts: LineFacts, rules: RuleSet, relay: IPv6Address?, settings: ProfileSettings
  ) throws(ProfileError) -> Softwire {
    guard let contract = rules.fixedIP(on: facts.prefixes) ?? rules.fixedIPs.first else {
      throw ProfileError(
        .badSettings,
        "the contract is not known: write its address, relay and interface_id into the section [fixed_ip]")
    }
    return .fixedIP(try contract.softwire(on: facts.prefixes))
  }
}

/// What the loader calls: the list of what this plugin provides.
@c(routerd_plugin_main)
public func registerPlugin(_ registrar: UnsafeMutableRawPointer) {
  PluginRegistrar.run(registrar) { registrar throws(PluginError) in
    try registrar.register(FixedIPProfile(id: registrar.id))
  }
}
