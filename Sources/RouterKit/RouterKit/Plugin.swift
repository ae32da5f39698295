// SPDX-License-Identifier: GPL-3.0-or-later
//
// How a plugin and the daemon meet: a plugin's C entry receives a registrar and puts into it what it provides. The
// registrar is filled once at start and then read out; nothing registers later.

/// The id of something a plugin provides: kind and name, like "isp.nuro" or "dataplane.tun".
public struct PluginID: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// What kinds there are.
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    /// An ``ISPProfile``.
    case profile = "isp"
    /// A ``DataplaneProvider``.
    case dataplane
  }

  /// The kind.
  public let kind: Kind
  /// The name people use: one to 32 of a–z, 0–9 and “-”, beginning with a letter.
  public let name: String

  /// Parses "KIND.NAME", or gives nothing.
  public init?(_ text: some StringProtocol) {
    let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, let kind = Kind(rawValue: String(parts[0])) else { return nil }
    self.init(kind, String(parts[1]))
  }

  /// Makes an id of its parts, or gives nothing if the name is not of the right form.
  public init?(_ kind: Kind, _ name: String) {
    let letters = UInt8(ascii: "a")...UInt8(ascii: "z")
    let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    guard (1...32).contains(name.utf8.count), let first = name.utf8.first, letters.contains(first),
      name.utf8.allSatisfy({ letters.contains($0) || digits.contains($0) || $0 == UInt8(ascii: "-") })
    else { return nil }
    self.kind = kind
    self.name = name
  }

  /// The text for people.
  public var description: String { "\(kind.rawValue).\(name)" }

  /// By kind, then name.
  public static func < (a: PluginID, b: PluginID) -> Bool {
    a.description < b.description
  }
}

/// Where a plugin writes for people. The daemon hands one over; plugins have no logging of their own.
public protocol PluginLog: Sendable {
  /// Something worth knowing when one looks for it.
  func debug(_ message: String)
  /// A change of state.
  func info(_ message: String)
  /// Something that an operator should look at.
  func warning(_ message: String)
}

/// Why a plugin provides nothing.
public struct PluginError: Error, Hashable, Sendable, CustomStringConvertible {
  /// A sentence for a person.
  public let description: String

  /// Makes an error.
  public init(_ description: String) {
    self.description = description
  }
}

/// Collects what one plugin provides while its entry runs.
public final class PluginRegistrar {
  /// The id from the plugin's descriptor; what it registers must carry this id.
  public let id: PluginID
  private let dataFile: () throws(PluginError) -> [UInt8]
  private var profile: (any ISPProfile)?
  private var dataplane: (any DataplaneProvider)?
  private var failure: PluginError?

  /// Makes a registrar for the plugin `id`.
  /// - Parameter dataFile: reads the file that lies beside the plugin, for ``ruleTable()``.
  public init(id: PluginID, dataFile: @escaping () throws(PluginError) -> [UInt8]) {
    self.id = id
    self.dataFile = dataFile
  }

  /// The rule table that lies beside the plugin: for `libNURO.so` the file `NURO.rules`.
  /// - Throws: ``PluginError`` if there is none or it does not parse.
  public func ruleTable() throws(PluginError) -> RuleTable {
    let bytes = try dataFile()
    do {
      return try RuleTable(parsing: bytes)
    } catch {
      throw PluginError("its rule table cannot be used: \(error)")
    }
  }

  /// Registers a profile.
  public func register(_ profile: some ISPProfile) throws(PluginError) {
    try check(profile.id)
    self.profile = profile
  }

  /// Registers a dataplane.
  public func register(_ dataplane: some DataplaneProvider) throws(PluginError) {
    try check(dataplane.id)
    self.dataplane = dataplane
  }

  private func check(_ id: PluginID) throws(PluginError) {
    guard id == self.id else {
      throw PluginError("it registers \(id), but its descriptor says \(self.id)")
    }
    guard profile == nil, dataplane == nil else {
      throw PluginError("it registers more than one thing")
    }
  }

  /// What the plugin registered.
  /// - Throws: ``PluginError`` that the entry threw, or because it registered nothing.
  public consuming func finish() throws(PluginError) -> Plugin {
    if let failure { throw failure }
    if let profile { return .profile(profile) }
    if let dataplane { return .dataplane(dataplane) }
    throw PluginError("its entry registered nothing")
  }

  /// Runs `register` with the registrar that the loader passed to the plugin's C entry. Each plugin's entry is this one
  /// call.
  /// - Parameter pointer: the argument of `routerd_plugin_main`.
  public static func run(
    _ pointer: UnsafeMutableRawPointer, _ register: (PluginRegistrar) throws(PluginError) -> Void
  ) {
    let registrar = Unmanaged<PluginRegistrar>.fromOpaque(pointer).takeUnretainedValue()
    do {
      try register(registrar)
    } catch {
      registrar.failure = error
    }
  }
}

/// Something that a plugin provides.
public enum Plugin: Sendable {
  /// An ISP profile.
  case profile(any ISPProfile)
  /// A dataplane.
  case dataplane(any DataplaneProvider)
}
