// SPDX-License-Identifier: GPL-3.0-or-later
//
// Configuration and plugins brought together: whether what the configuration names is there. Whatever is wrong here is
// wrong before anything has been touched.

public import RouterCore
public import RouterKit

/// A configuration whose plugins are there.
public struct Setup: Sendable {
  /// The configuration.
  public let configuration: Configuration
  /// The profiles to choose from.
  public let catalog: ProfileCatalog
  /// What makes the dataplane.
  public let dataplane: any DataplaneProvider
  /// Why the dataplane is not the one that `dataplane = "auto"` would rather have, as a sentence.
  public let dataplaneReason: String?

  /// Brings configuration and plugins together.
  /// - Throws: ``SetupError`` with what is missing and why.
  public init(configuration: Configuration, plugins: PluginSet) throws(SetupError) {
    guard plugins.duplicates.isEmpty else {
      throw SetupError(plugins.duplicates.joined(separator: "; "))
    }
    self.configuration = configuration
    catalog = ProfileCatalog(plugins.profiles)
    try Self.checkProfile(configuration, catalog, plugins)
    (dataplane, dataplaneReason) = try Self.dataplane(configuration, plugins)
    guard !configuration.wan.interface.isEmpty else {
      throw SetupError("[wan] interface: name the interface with the IPv6 line, like interface = \"eth0\"")
    }
    guard !([configuration.wan.interface] + configuration.lan.interfaces).contains(configuration.softwire.device) else {
      throw SetupError("[softwire] device: “\(configuration.softwire.device)” is the name of another interface")
    }
    if configuration.profileSettings.usesMesh, !dataplane.capabilities.contains(.forwardingMappingRules) {
      throw SetupError("[softwire] mesh: the dataplane \(dataplane.id.name) cannot reach other subscribers directly")
    }
  }

  private static func checkProfile(
    _ configuration: Configuration, _ catalog: ProfileCatalog, _ plugins: PluginSet
  ) throws(SetupError) {
    guard case .named(let name) = configuration.profile else { return }
    let profile: any ISPProfile
    do {
      profile = try catalog.profile(named: name)
    } catch {
      throw SetupError("\(error)\(reason(.profile, name, plugins))")
    }
    do {
      _ = try profile.ruleSources(configuration.profileSettings)
    } catch {
      throw SetupError("profile \(name): \(error)")
    }
  }

  private static func dataplane(
    _ configuration: Configuration, _ plugins: PluginSet
  ) throws(SetupError) -> (any DataplaneProvider, reason: String?) {
    let name = configuration.softwire.dataplane
    let known = plugins.dataplanes.sorted { ($0.preference, $1.id.name) > ($1.preference, $0.id.name) }
    guard name == "auto" else {
      guard let dataplane = known.first(where: { $0.id.name == name }) else {
        let names = (["auto"] + known.map(\.id.name)).joined(separator: ", ")
        throw SetupError(
          "[softwire] dataplane: there is no dataplane “\(name)”; there are \(names)\(reason(.dataplane, name, plugins))"
        )
      }
      if let missing = dataplane.missingRequirement() {
        throw SetupError("[softwire] dataplane: \(name) cannot run here: \(missing)")
      }
      return (dataplane, nil)
    }
    var reasons: [String] = []
    for dataplane in known {
      let name = dataplane.id.name
      if configuration.profileSettings.usesMesh, !dataplane.capabilities.contains(.forwardingMappingRules) {
        reasons.append("\(name) cannot reach other subscribers directly (mesh)")
      } else if let missing = dataplane.missingRequirement() {
        reasons.append("\(name) cannot run here: \(missing)")
      } else {
        let reason = reasons.joined(separator: "; ")
        return (dataplane, reasons.isEmpty ? nil : "the dataplane is \(name): \(reason)")
      }
    }
    throw SetupError(
      reasons.isEmpty
        ? "no dataplane can run here: no plugin provides one" : "no dataplane: \(reasons.joined(separator: "; "))")
  }

  /// Why a plugin that somebody asks for by name is not there, if its file is.
  private static func reason(_ kind: PluginID.Kind, _ name: String, _ plugins: PluginSet) -> String {
    for file in plugins.files {
      if case .skipped(let reason) = file.state, file.id == PluginID(kind, name) {
        return ". \(file.path) was skipped: \(reason)"
      }
    }
    return ""
  }
}

/// Why the daemon cannot start with a configuration.
public struct SetupError: Error, Hashable, Sendable, CustomStringConvertible {
  /// A sentence for a person.
  public let description: String

  init(_ description: String) {
    self.description = description
  }
}
