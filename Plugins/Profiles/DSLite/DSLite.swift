// SPDX-License-Identifier: GPL-3.0-or-later
//
// DS-Lite (RFC 6333) on Japanese lines. Nothing in a prefix tells which AFTR serves it. The line may say so itself, by
// DHCPv6 or HB46PP; else the operator says which service it is, by its short name, or names the AFTR. Each service is
// known by a DNS name, which answers differently by region and must be asked at the line's own resolver; the addresses
// below are what those names are known to give, for use when nobody answers.

internal import RouterKit

struct DSLiteProfile: ISPProfile {
  let id: PluginID
  let title = "DS-Lite (transix, Xpass, v6 Connect or any AFTR)"
  let isChosenByPrefix = false
  let softwireKinds: Set<SoftwireKind> = [.dsLite]
  let relaySelector: any BRSelector = PreferredOrderSelector()

  func ruleSources(_ settings: ProfileSettings) throws(ProfileError) -> [RuleSource] {
    guard let aftr = settings.aftr, !aftr.isEmpty else {
      return announced
    }
    if let service = Service(rawValue: aftr) {
      return announced + [.aftrName(service.name), .lastResortAFTRs(service.knownAddresses)]
    }
    if aftr.utf8.contains(UInt8(ascii: ":")) {
      do {
        return [.aftrAddresses([try IPv6Address(aftr)])]
      } catch {
        throw ProfileError(.badSettings, "aftr in the section [dslite] is no IPv6 address: \(error)")
      }
    }
    return announced + [.aftrName(aftr)]
  }

  private var announced: [RuleSource] { [.dhcpv6AFTR, .hb46pp] }

  func softwire(
    for facts: LineFacts, rules: RuleSet, relay: IPv6Address?, settings: ProfileSettings
  ) throws(ProfileError) -> Softwire {
    guard let prefix = facts.prefixes.first(where: { $0.length <= 64 }) else {
      throw ProfileError(.noPrefix, "the line has no global IPv6 prefix yet")
    }
    guard let aftr = relay.flatMap({ rules.aftrs.contains($0) ? $0 : nil }) ?? rules.aftrs.first else {
      throw ProfileError(
        .noRelay,
        settings.aftr.map { "the address of the AFTR “\($0.prefix(255))” is not known" }
          ?? "the AFTR is not known: set aftr in the section [dslite] to "
          + "\(Service.allCases.map(\.rawValue).joined(separator: ", ")), to its name or its IPv6 address")
    }
    return .dsLite(DSLiteSoftwire(userPrefix: prefix, aftr: aftr, allowedRelays: rules.aftrs))
  }
}

/// The DS-Lite services that people call by name.
private enum Service: String, CaseIterable {
  case transix, xpass, v6connect

  /// The name to ask the line's resolver for.
  var name: String {
    switch self {
    case .transix: "gw.transix.jp"
    case .xpass: "dgw.xpass.jp"
    case .v6connect: "dslite.v6connect.net"
    }
  }

  /// Addresses that the name has been seen to give, eastern ones first.
  var knownAddresses: [IPv6Address] {
    let texts =
      switch self {
      case .transix:
        [
          "2404:8e00::feed:100", "2404:8e00::feed:101", "2404:8e00::feed:102", "2404:8e01::feed:100",
          "2404:8e01::feed:101",
        ]
      case .xpass: ["2001:f60:0:200::1:1"]
      case .v6connect: ["2001:c28:5:301::11"]
      }
    return texts.compactMap { try? IPv6Address($0) }
  }
}

/// What the loader calls: the list of what this plugin provides.
@c(routerd_plugin_main)
public func registerPlugin(_ registrar: UnsafeMutableRawPointer) {
  PluginRegistrar.run(registrar) { registrar throws(PluginError) in
    try registrar.register(DSLiteProfile(id: registrar.id))
  }
}
