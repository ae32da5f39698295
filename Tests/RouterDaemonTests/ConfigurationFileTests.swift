// SPDX-License-Identifier: GPL-3.0-or-later
//
// The configuration files: what is read, what overrides what, and how mistakes are told.

import RouterCore
import RouterDaemon
import RouterKit
import TestSupport
import Testing

struct ConfigurationFileTests {
  private func load(_ main: String, dropIns: [String: String] = [:]) throws -> Configuration {
    let folder = try TemporaryFolder()
    let file = ConfigurationFile(path: try folder.write("routerd.toml", main))
    if !dropIns.isEmpty { try shell("mkdir '\(file.dropInFolder)'") }
    for (name, text) in dropIns { try folder.write("conf.d/\(name)", text) }
    return try file.load()
  }

  @Test func theSampleIsGoodAndHasTheDefaults() throws {
    var sample = try ConfigurationFile(path: "\(Fixture.tree)/etc/routerd/routerd.toml").load()
    #expect(!sample.wan.interface.isEmpty)
    sample.wan = .init()
    sample.lan = .init()
    #expect(sample == Configuration())
  }

  @Test func readsEveryKey() throws {
    let configuration = try load(
      """
      profile = "nuro"
      [wan]
      interface = "eth0"
      prefix = ["2404:7a82:4d02:4100::/56", "240d:f:a2c:6300::/56"]
      [lan]
      interfaces = ["lan0", "br0"]
      [softwire]
      dataplane = "tun"
      device = "map0"
      mtu = 1400
      mesh = true
      metric = 7
      [rules]
      unconfirmed = true
      [dslite]
      aftr = "transix"
      [probe]
      targets = ["192.0.2.1"]
      [plugins]
      path = ["/a", "/b"]
      [control]
      socket = "/run/x"
      [state]
      directory = "/var/x"
      """)
    #expect(configuration.profile == .named("nuro"))
    #expect(configuration.wan.interface == "eth0" && configuration.wan.prefixes.count == 2)
    #expect(configuration.lan.interfaces == ["lan0", "br0"])
    #expect(configuration.softwire.dataplane == "tun" && configuration.softwire.device == "map0")
    #expect(configuration.softwire.mtu == 1400 && configuration.softwire.metric == 7)
    #expect(configuration.profileSettings.usesMesh && configuration.profileSettings.usesUnconfirmedRules)
    #expect(configuration.profileSettings.aftr == "transix")
    #expect(configuration.probeTargets == [IPv4Address(192, 0, 2, 1)])
    #expect(configuration.pluginPath == ["/a", "/b"])
    #expect(configuration.controlSocket == "/run/x" && configuration.stateDirectory == "/var/x")
  }

  @Test func laterFilesOverrideKeyByKey() throws {
    let configuration = try load(
      "profile = \"ocn\"\n[softwire]\nmtu = 1400\ndevice = \"map0\"\n",
      dropIns: [
        "10-a.toml": "profile = \"nuro\"\n[softwire]\nmtu = 1300\n", "50-profile.toml": "profile = \"biglobe\"\n",
        "README": "this is no TOML [[[", ".hidden.toml": "nor is this",
      ])
    #expect(configuration.profile == .named("biglobe"))
    #expect(configuration.softwire.mtu == 1300 && configuration.softwire.device == "map0")
  }

  @Test(arguments: [
    ("profile = 3", ["profile", "a text in quotes", "a number"]),
    ("proflie = \"nuro\"", ["proflie", "no such key", "profile"]),
    ("profile = \"Nuro!\"", ["profile", "Nuro!"]), ("[wan]\ninterface = \"\"", ["[wan] interface"]),
    ("[wan]\ninterface = \"a/b\"", ["[wan] interface", "a/b"]),
    ("[wan]\ninterface = \"sixteen-bytes-xx\"", ["1 to 15"]),
    ("[wan]\nprefix = \"2404:7a82::1/56\"", ["[wan] prefix", "2404:7a82::/56"]),
    ("[wan]\nprefix = [1]", ["[wan] prefix", "list"]), ("wan = 1", ["wan", "a section"]),
    ("[softwire]\nmtu = 100", ["[softwire] mtu", "1280 to"]), ("[softwire]\nmtu = \"1460\"", ["whole number"]),
    ("[softwire]\nmesh = \"yes\"", ["true or false"]), ("[softwire]\nmetric = -1", ["metric"]),
    ("[softwire]\ncolour = 1", ["[softwire] colour", "dataplane, device, mesh, metric, mtu"]),
    ("[control]\nsocket = \"relative\"", ["absolute"]), ("[lan]\ninterfaces = [\"a b\"]", ["[lan] interfaces"]),
    ("profile = \"nuro\"\nprofile = \"ocn\"", ["line 2"]), ("[wan", ["line 1"]), ("profile = \"nuro", ["line 1"]),
    ("profile = \"a\\u0000b\"", ["NUL"]), ("\u{0}profile = 1", ["UTF-8"]),
  ])
  func saysWhatIsWrongAndWhere(text: String, expected: [String]) throws {
    let error = try #require(throws: ConfigurationError.self) { try load(text) }
    #expect(error.description.contains("routerd.toml"))
    for part in expected { #expect(error.description.contains(part), "\(error)") }
  }

  @Test func aMissingFileIsToldByName() throws {
    let error = try #require(throws: ConfigurationError.self) {
      try ConfigurationFile(path: "/does/not/exist.toml").load()
    }
    #expect(error.description.contains("/does/not/exist.toml") && error.description.contains("No such file"))
  }

  @Test func whatIsNoFileOrTooLargeIsRefused() throws {
    #expect(throws: ConfigurationError.self) { try ConfigurationFile(path: "/dev/zero").load() }
    #expect(throws: ConfigurationError.self) { try ConfigurationFile(path: "/tmp").load() }
    #expect(throws: ConfigurationError.self) { try load(String(repeating: "# long\n", count: 200_000)) }
  }

  @Test func theProfileDropInIsReadBack() throws {
    let folder = try TemporaryFolder()
    let file = ConfigurationFile(
      path: try folder.write("routerd.toml", "profile = \"ocn\"\n[wan]\ninterface = \"eth0\"\n"))
    try ProfileDropIn(file).write(.named("nuro"))
    #expect(try file.load().profile == .named("nuro"))
    try ProfileDropIn(file).write(.automatic)
    #expect(try file.load().profile == .automatic)
  }
}
