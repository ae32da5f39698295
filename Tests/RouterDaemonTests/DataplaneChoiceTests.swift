// SPDX-License-Identifier: GPL-3.0-or-later
//
// Which dataplane a configuration gets, on a kernel with or without tunnels of its own.

import RouterCore
import RouterDaemon
import RouterKit
import Testing

struct DataplaneChoiceTests {
  private let plugins = BuildFolder.plugins

  private func setup(_ dataplane: String, usesMesh: Bool = false) throws -> Setup {
    var configuration = Configuration()
    configuration.wan.interface = "wan0"
    configuration.softwire.dataplane = dataplane
    configuration.profileSettings.usesMesh = usesMesh
    return try Setup(configuration: configuration, plugins: plugins)
  }

  /// What the kernel under these tests lacks.
  private func missing() throws -> String? {
    try #require(plugins.dataplanes.first { $0.id.name == "ip6tnl" }).missingRequirement()
  }

  @Test func theKernelComesFirstAndUserSpaceSaysWhyItIsNot() throws {
    let setup = try setup("auto")
    if let missing = try missing() {
      #expect(setup.dataplane.id.name == "tun")
      #expect(setup.dataplaneReason == "the dataplane is tun: ip6tnl cannot run here: \(missing)")
      #expect(missing.contains("ip6_tunnel"))
    } else {
      #expect(setup.dataplane.id.name == "ip6tnl")
      #expect(setup.dataplaneReason == nil)
    }
  }

  @Test func whatIsAskedForByNameIsTakenOrRefused() throws {
    #expect(try setup("tun").dataplaneReason == nil)
    if let missing = try missing() {
      let error = try #require(throws: SetupError.self) { try setup("ip6tnl") }
      #expect(error.description == "[softwire] dataplane: ip6tnl cannot run here: \(missing)")
    } else {
      #expect(try setup("ip6tnl").dataplane.id.name == "ip6tnl")
    }
    let unknown = try #require(throws: SetupError.self) { try setup("none") }
    #expect(unknown.description.contains("there are auto, ip6tnl, tun"))
  }

  @Test func meshNeedsUserSpace() throws {
    let setup = try setup("auto", usesMesh: true)
    #expect(setup.dataplane.id.name == "tun")
    #expect(
      setup.dataplaneReason
        == "the dataplane is tun: ip6tnl cannot reach other subscribers directly (mesh)")
    #expect(throws: SetupError.self) { try self.setup("ip6tnl", usesMesh: true) }
  }
}
