// SPDX-License-Identifier: GPL-3.0-or-later
//
// The sections about the line and what is learned of it: [wan], [provisioning] and [fixed_ip].

import RouterCore
import RouterKit

extension TableReader {
  /// Reads `[wan]`.
  mutating func readWAN(into wan: inout Configuration.WAN) throws(ConfigurationError) {
    if let name = try interfaceName("interface") { wan.interface = name }
    if let name = try string("mode") {
      guard let mode = Configuration.WAN.Mode(rawValue: name) else {
        throw error(
          "mode",
          "“\(name.prefix(40))” is unknown; it is “observe” where something else runs the IPv6 line, “manage” where "
            + "routerd shall")
      }
      wan.mode = mode
    }
    if let texts = try strings("prefix") {
      wan.prefixes = []
      for text in texts {
        wan.prefixes.append(try value("prefix") { () throws(AddressError) in try LinePrefix.parse(text) })
      }
    }
    if let gateway = try address("gateway") {
      guard gateway.isLinkLocal || gateway.isGlobalUnicast else {
        throw error("gateway", "\(gateway) cannot be a next hop; it is the router's address on the link, like fe80::1")
      }
      wan.gateway = gateway
    }
    if let texts = try strings("resolvers") {
      wan.resolvers = []
      for text in texts {
        wan.resolvers.append(try value("resolvers") { () throws(AddressError) in try IPv6Address(text) })
      }
    }
  }

  /// Reads `[provisioning]`.
  mutating func readProvisioning(
    into provisioning: inout Configuration.Provisioning
  ) throws(ConfigurationError) {
    if let path = try path("socket", limit: UnixSocket.pathLimit) { provisioning.socket = path }
    if let isOn = try bool("hb46pp") { provisioning.usesHB46PP = isOn }
    if let path = try path("jpne_key_file", limit: 3000) { provisioning.jpneKeyFile = path }
    if let path = try path("ocn_key_file", limit: 3000) { provisioning.ocnKeyFile = path }
    if let path = try path("ca_file", limit: 3000) { provisioning.certificateFile = path }
    if let isOn = try bool("home_gateway") { provisioning.asksHomeGateway = isOn }
  }

  /// Reads `[fixed_ip]`.
  mutating func readFixedIP(into configuration: inout Configuration) throws(ConfigurationError) {
    let text = try string("address")
    let relay = try address("relay")
    let identifierText = try string("interface_id")
    if let path = try path("update_url_file", limit: 3000) { configuration.fixedIPUpdateFile = path }
    guard text != nil || relay != nil || identifierText != nil else { return }
    guard let text else { throw error("address", "this is missing; it is the fixed IPv4 address of the contract") }
    guard let relay else { throw error("relay", "this is missing; it is the IPv6 address of the tunnel's far end") }
    let address = try value("address") { () throws(AddressError) in try IPv4Address(text) }
    var localEnd: FixedIPContract.LocalEnd?
    if let identifierText {
      let end = try value("interface_id") { () throws(AddressError) in try IPv6Address(identifierText) }
      localEnd =
        end.bits >> 64 == 0
        ? .identifier(UInt64(truncatingIfNeeded: end.bits)) : .address(end)
    }
    configuration.profileSettings.fixedIP = FixedIPContract(
      ipv4Address: address, relay: relay, localEnd: localEnd)
  }

  private mutating func address(_ key: String) throws(ConfigurationError) -> IPv6Address? {
    guard let text = try string(key) else { return nil }
    return try value(key) { () throws(AddressError) in try IPv6Address(text) }
  }
}
