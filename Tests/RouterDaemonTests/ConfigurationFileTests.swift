// SPDX-License-Identifier: GPL-3.0-or-later
//
// The configuration files: what is read, what overrides what, and how mistakes are told.

import PortSetNAT
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
      [nat]
      filtering = "endpoint-independent"
      [nat.timeouts]
      tcp_established = 1
      tcp_transitory = 2
      tcp_time_wait = 3
      udp = 4
      dns = 5
      icmp = 6
      [[forward]]
      protocol = "tcp"
      external = 5136
      internal = "192.168.1.10:8080"
      [[forward]]
      protocol = "udp+tcp"
      external = 5137
      internal = "192.168.1.11"
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
    #expect(configuration.nat.filtering == .endpointIndependent)
    let timeouts = configuration.nat.timeouts
    #expect([timeouts.tcpEstablished, timeouts.tcpTransitory, timeouts.tcpTimeWait] == [1, 2, 3])
    #expect([timeouts.udp, timeouts.dns, timeouts.icmp] == [4, 5, 6])
    #expect(
      configuration.forwards == [
        PortForward([.tcp], external: 5136, to: IPv4Address(192, 168, 1, 10), port: 8080),
        PortForward([.tcp, .udp], external: 5137, to: IPv4Address(192, 168, 1, 11), port: 5137),
      ])
    #expect(configuration.pluginPath == ["/a", "/b"])
    #expect(configuration.controlSocket == "/run/x" && configuration.stateDirectory == "/var/x")
  }

  @Test func forwardsOfAllFilesAddUp() throws {
    func forward(_ port: Int, _ transport: String) -> String {
      "[[forward]]\nprotocol = \"\(transport)\"\nexternal = \(port)\ninternal = \"192.168.1.10\"\n"
    }
    let configuration = try load(
      forward(1, "tcp") + forward(1, "udp"), dropIns: ["1.toml": forward(2, "tcp"), "2.toml": forward(3, "tcp")])
    #expect(configuration.forwards.map(\.external) == [1, 1, 2, 3])
    let error = try #require(throws: ConfigurationError.self) {
      try load(forward(1, "tcp+udp"), dropIns: ["1.toml": forward(2, "tcp") + forward(1, "udp")])
    }
    for part in ["1.toml", "[[forward]] number 2", "udp port 1 ", "192.168.1.10:1"] {
      #expect(error.description.contains(part), "\(error)")
    }
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
    ("[nat]\nfiltering = \"full cone\"", ["[nat] filtering", "full cone", "endpoint-independent"]),
    ("[nat.timeouts]\nudp = 0", ["[nat.timeouts] udp", "1 to"]), ("[nat.timeouts]\ntcp = 9", ["tcp_established"]),
    ("[forward]\nexternal = 1", ["forward", "[[forward]]", "a section"]), ("forward = [1]", ["a list of sections"]),
    ("[[forward]]\nexternal = 1", ["[[forward]] number 1, protocol", "missing", "tcp+udp"]),
    (forward("gre", "5136", "192.168.1.10"), ["number 1, protocol", "gre"]),
    (forward("tcp+tcp", "5136", "192.168.1.10"), ["protocol", "tcp+tcp"]),
    (forward("tcp", "70000", "192.168.1.10"), ["external", "1 to 65535"]),
    (forward("tcp", "5136", "192.168.1.300"), ["internal", "300 is more than 255"]),
    (forward("tcp", "5136", "192.168.1.10:0"), ["internal", "192.168.1.10:8080"]),
    (forward("tcp", "5136", "192.168.1.10:+80"), ["internal", "not a port"]),
    (forward("tcp", "5136", "192.168.1.10:80:1"), ["internal", "not a port"]),
    (forward("tcp", "5136", "127.0.0.1:80"), ["internal", "address on the LAN"]),
    (forward("tcp", "5136", "224.0.0.1"), ["internal", "not the address of a host"]),
    (forward("tcp", "5136", "192.168.1.10") + "colour = 1", ["colour", "external, internal, protocol"]),
    ("profile = \"nuro\"\nprofile = \"ocn\"", ["line 2"]), ("[wan", ["line 1"]), ("profile = \"nuro", ["line 1"]),
    // Over these the TOML parser would end the process.
    ("[[[a]]]", ["line 1", "name of a section"]), ("profile = \"nuro\"\n[& ", ["line 2", "name of a section"]),
    ("\n [[= 1", ["line 2", "name of a section"]), ("[\n", ["line 1", "name of a section"]),
    ("profile = \"a\\u0000b\"", ["NUL"]), ("\u{0}profile = 1", ["UTF-8"]),
  ])
  func saysWhatIsWrongAndWhere(text: String, expected: [String]) throws {
    let error = try #require(throws: ConfigurationError.self) { try load(text) }
    #expect(error.description.contains("routerd.toml"))
    for part in expected { #expect(error.description.contains(part), "\(error)") }
  }

  static func forward(_ transport: String, _ external: String, _ target: String) -> String {
    "[[forward]]\nprotocol = \"\(transport)\"\nexternal = \(external)\ninternal = \"\(target)\"\n"
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
