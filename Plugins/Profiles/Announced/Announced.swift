// SPDX-License-Identifier: GPL-3.0-or-later
//
// Whatever the line announces of itself, by DHCPv6 (RFC 7598, RFC 6334) or HB46PP, whoever the ISP is: for lines that no
// other profile knows.

internal import RouterKit

struct AnnouncedProfile: ISPProfile {
  let id: PluginID
  let title = "what the line announces (DHCPv6 or HB46PP)"
  let isChosenByPrefix = false
  let isChosenByAnnouncement = true
  let relaySelector: any BRSelector = PreferredOrderSelector()

  func ruleSources(_ settings: ProfileSettings) throws(ProfileError) -> [RuleSource] {
    [.dhcpv6S46, .dhcpv6AFTR, .hb46pp]
  }

  /// The first kind in the order of the announcement that there is something for.
  func softwire(
    for facts: LineFacts, rules: RuleSet, relay: IPv6Address?, settings: ProfileSettings
  ) throws(ProfileError) -> Softwire {
    for kind in rules.order + SoftwireKind.allCases.filter({ !rules.order.contains($0) }) {
      switch kind {
      case .mapE where rules.serves(facts.prefixes, with: [.mapE]):
        return try MappedLine(id: id).softwire(for: facts, rules: rules, relay: relay, settings: settings)
      case .fixedIP:
        guard let contract = rules.fixedIP(on: facts.prefixes) else { continue }
        return .fixedIP(try contract.softwire(on: facts.prefixes))
      case .dsLite:
        guard let prefix = facts.prefixes.first(where: { $0.length <= 64 }), let first = rules.aftrs.first else {
          continue
        }
        let aftr = relay.flatMap { rules.aftrs.contains($0) ? $0 : nil } ?? first
        return .dsLite(DSLiteSoftwire(userPrefix: prefix, aftr: aftr, allowedRelays: rules.aftrs))
      case .mapE:
        continue
      }
    }
    guard let prefix = facts.prefixes.first else {
      throw ProfileError(.noPrefix, "the line has no global IPv6 prefix yet")
    }
    throw ProfileError(.noMatchingRule, "what the line announces is not for it: \(rules.mismatch(for: prefix))")
  }
}

/// MAP-E by rules that are all learned.
private struct MappedLine: MAPEProfile {
  let id: PluginID
  let title = ""
  let table = RuleTable.empty
}

/// What the loader calls: the list of what this plugin provides.
@c(routerd_plugin_main)
public func registerPlugin(_ registrar: UnsafeMutableRawPointer) {
  PluginRegistrar.run(registrar) { registrar throws(PluginError) in
    try registrar.register(AnnouncedProfile(id: registrar.id))
  }
}
