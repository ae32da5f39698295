// SPDX-License-Identifier: GPL-3.0-or-later
//
// The configuration as TOML files: /etc/routerd/routerd.toml, then conf.d/*.toml beside it in the order of their names,
// each laying its keys over what came before; only forwards add up. Everything is checked here, and a file that is wrong in one place is
// refused whole, so that a running daemon keeps what it has.

import Glibc
public import RouterCore
import RouterKit
import TOMLKit

/// The place of the configuration.
public struct ConfigurationFile: Hashable, Sendable {
  /// The path of the main file.
  public let path: String

  /// Where a Debian package puts it.
  public static let installed = ConfigurationFile(path: "/etc/routerd/routerd.toml")

  /// Names a configuration by its main file.
  public init(path: String) {
    self.path = path
  }

  /// The folder of the files that are laid over the main file.
  public var dropInFolder: String {
    let slash = path.lastIndex(of: "/")
    return slash.map { "\(path[...$0])conf.d" } ?? "conf.d"
  }

  /// Reads and checks all files.
  /// - Throws: ``ConfigurationError`` with file, place and what would be right.
  public func load() throws(ConfigurationError) -> Configuration {
    var configuration = Configuration()
    for file in [path] + (try dropIns()) {
      let table = try Self.parse(file)
      var reader = TableReader(table, file: file, section: "")
      try Self.read(&reader, into: &configuration)
    }
    return configuration
  }

  private func dropIns() throws(ConfigurationError) -> [String] {
    let names: [String]
    do {
      names = try FileSystem.list(dropInFolder)
    } catch  where error.code == ENOENT {
      return []
    } catch {
      throw ConfigurationError(error)
    }
    return names.filter { $0.hasSuffix(".toml") && !$0.hasPrefix(".") }.sorted().map { "\(dropInFolder)/\($0)" }
  }

  private static func parse(_ file: String) throws(ConfigurationError) -> TOMLTable {
    let bytes: [UInt8]
    do {
      bytes = try FileSystem.read(file, limit: 1 << 20)
    } catch {
      throw ConfigurationError(error)
    }
    guard let text = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
      throw ConfigurationError(file, "this is not UTF-8 text")
    }
    // The parser hands out C text, which would end at a NUL without a word.
    guard !text.contains("\\u0000"), !text.contains("\\U00000000") else {
      throw ConfigurationError(file, "a NUL character has no place in any value")
    }
    if let line = headerWithoutName(in: text) {
      throw ConfigurationError(file, "line \(line): behind “[” or “[[” comes the name of a section, like [wan]")
    }
    do {
      return try TOMLTable(string: text)
    } catch let error as TOMLParseError {
      let begin = error.source.begin
      throw ConfigurationError(file, "line \(begin.line), column \(begin.column): \(error.description)")
    } catch {
      throw ConfigurationError(file, "this is not TOML: \(error)")
    }
  }

  /// The number of a line that begins like the header of a section and has no name there. The parser ends the process over
  /// such a line (toml++ 3.4 asserts the first character of a key, in releases too) and not with an
  /// error. Lists of lists, whose lines may look alike, have no place in the configuration.
  private static func headerWithoutName(in text: String) -> Int? {
    let lines = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    let blanks: Set<UInt8> = [UInt8(ascii: " "), UInt8(ascii: "\t")]
    return lines.firstIndex { line in
      let content = line.drop { blanks.contains($0) }
      guard content.first == UInt8(ascii: "[") else { return false }
      let inside = content.dropFirst(content.dropFirst().first == UInt8(ascii: "[") ? 2 : 1)
      return !(inside.first { !blanks.contains($0) }.map(beginsKey) ?? false)
    }.map { $0 + 1 }
  }

  private static func beginsKey(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "\""),
      UInt8(ascii: "'"):
      true
    default: false
    }
  }

  private static func read(_ top: inout TableReader, into configuration: inout Configuration) throws(ConfigurationError)
  {
    if let profile = try top.string("profile") {
      let choice = ProfileChoice(profile)
      if case .named(let name) = choice, PluginID(.profile, name) == nil {
        throw top.error("profile", "“\(name)” cannot be the name of a profile; it is “auto” or like “biglobe”")
      }
      configuration.profile = choice
    }
    try top.section("wan") { wan throws(ConfigurationError) in try wan.readWAN(into: &configuration.wan) }
    try top.section("dhcpv6") { dhcpv6 throws(ConfigurationError) in
      try dhcpv6.integer("hint", in: 32...64).map { configuration.dhcpv6.prefixLengthHint = $0 }
      try dhcpv6.bool("address").map { configuration.dhcpv6.wantsAddress = $0 }
    }
    try top.section("provisioning") { section throws(ConfigurationError) in
      try section.readProvisioning(into: &configuration.provisioning)
    }
    try top.section("fixed_ip") { section throws(ConfigurationError) in
      try section.readFixedIP(into: &configuration)
    }
    try top.section("lan") { lan throws(ConfigurationError) in
      try lan.interfaceNames("interfaces").map { configuration.lan.interfaces = $0 }
    }
    try top.section("softwire") { softwire throws(ConfigurationError) in
      if let name = try softwire.string("dataplane") {
        guard name == "auto" || PluginID(.dataplane, name) != nil else {
          throw softwire.error("dataplane", "“\(name)” cannot be the name of a dataplane; it is “auto” or like “tun”")
        }
        configuration.softwire.dataplane = name
      }
      try softwire.interfaceName("device").map { configuration.softwire.device = $0 }
      try softwire.integer("mtu", in: 1280...65495).map { configuration.softwire.mtu = $0 }
      try softwire.bool("mesh").map { configuration.profileSettings.usesMesh = $0 }
      try softwire.integer("metric", in: 0...Int(UInt32.max)).map {
        configuration.softwire.metric = UInt32(truncatingIfNeeded: $0)
      }
    }
    try top.section("nat") { nat throws(ConfigurationError) in
      try nat.readNAT(into: &configuration.nat)
    }
    try top.entries("forward") { forward throws(ConfigurationError) in
      configuration.forwards.append(try forward.readForward(besides: configuration.forwards))
    }
    try top.section("rules") { rules throws(ConfigurationError) in
      try rules.bool("unconfirmed").map { configuration.profileSettings.usesUnconfirmedRules = $0 }
    }
    try top.section("dslite") { dslite throws(ConfigurationError) in
      try dslite.string("aftr").map { configuration.profileSettings.aftr = $0 }
    }
    try top.section("probe") { probe throws(ConfigurationError) in
      if let texts = try probe.strings("targets") {
        configuration.probeTargets = []
        for text in texts {
          configuration.probeTargets.append(
            try probe.value("targets") { () throws(AddressError) in try IPv4Address(text) })
        }
      }
    }
    try top.section("plugins") { plugins throws(ConfigurationError) in
      try plugins.strings("path").map { configuration.pluginPath = $0 }
    }
    try top.section("control") { control throws(ConfigurationError) in
      try control.path("socket", limit: UnixSocket.pathLimit).map { configuration.controlSocket = $0 }
    }
    try top.section("state") { state throws(ConfigurationError) in
      try state.path("directory", limit: 3000).map { configuration.stateDirectory = $0 }
    }
    try top.finish()
  }
}

/// Why a configuration cannot be used.
public struct ConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
  /// File, place and what is wrong, as one sentence.
  public let description: String

  init(_ file: String, _ problem: String) {
    description = "\(file): \(problem)"
  }

  init(_ error: FileError) {
    description = error.description
  }
}
