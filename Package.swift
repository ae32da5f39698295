// swift-tools-version: 6.2
// SPDX-License-Identifier: GPL-3.0-or-later
//
// routerd: the daemon with its CLI, and the plugins that are part of the tree. The SDK is a package of its own below
// Sources/RouterKit (its manifest says why); everything here names its product.

import PackageDescription

let routerKit: Target.Dependency = .product(name: "RouterKit", package: "RouterKit")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")

/// A plugin: one Swift target, and beside it the C file with the struct that is read before any Swift call.
func plugin(_ name: String, path: String, dataFile: String? = nil) -> [Target] {
  [
    .target(
      name: name, dependencies: [routerKit, .target(name: "\(name)Descriptor")], path: path,
      exclude: ["Descriptor"] + (dataFile.map { [$0] } ?? [])),
    .target(
      name: "\(name)Descriptor", dependencies: [routerKit], path: "\(path)/Descriptor", publicHeadersPath: "."),
  ]
}

/// A plugin with tests. What every plugin has under one name, the entry and the struct, is apart from the rest, so that
/// several fit into the one program that all tests are.
/// `shim` names a C target in a folder of its name, for what a plugin needs of the kernel.
func dataplane(_ name: String, shim: String? = nil) -> [Target] {
  let path = "Plugins/Dataplanes/\(name)"
  return [
    .target(
      name: name, dependencies: [routerKit] + (shim.map { [.target(name: $0)] } ?? []), path: path,
      exclude: ["Entry", "Descriptor"] + (shim.map { [$0] } ?? [])),
    .target(name: "\(name)Entry", dependencies: [routerKit, .target(name: name)], path: "\(path)/Entry"),
    .target(
      name: "\(name)Descriptor", dependencies: [routerKit], path: "\(path)/Descriptor", publicHeadersPath: "."),
  ] + (shim.map { [.target(name: $0, path: "\(path)/\($0)")] } ?? [])
}

func profile(_ name: String, dataFile: String? = nil) -> [Target] {
  plugin(name, path: "Plugins/Profiles/\(name)", dataFile: dataFile)
}

let profiles = ["BIGLOBE", "OCN", "NURO", "V6Plus", "DSLite", "FixedIP", "Announced"]
let dataplanes = ["IP6Tnl", "TUN"]

let package = Package(
  name: "routerd",
  products: [.executable(name: "routerd", targets: ["routerd"])]
    + profiles.map { .library(name: $0, type: .dynamic, targets: [$0, "\($0)Descriptor"]) }
    + dataplanes.map { .library(name: $0, type: .dynamic, targets: [$0, "\($0)Entry", "\($0)Descriptor"]) },
  dependencies: [
    .package(path: "Sources/RouterKit"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
  ],
  targets: [
    // The executable: the daemon and the other verbs. Thin.
    .executableTarget(
      name: "routerd",
      dependencies: [
        "RouterDaemon", "RouterCore", "ControlProtocol", routerKit, logging,
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    // I/O: plugins, configuration, reconciler, control server, services.
    .target(
      name: "RouterDaemon",
      dependencies: [
        "RouterCore", "PortSetNAT", "NFTables", "Conntrack", "Systemd", "ControlProtocol", "CLinux", routerKit,
        logging,
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
        .product(name: "TOMLKit", package: "TOMLKit"),
      ]),
    // Pure: facts to desired state, profile choice, plan.
    .target(name: "RouterCore", dependencies: ["PortSetNAT", "NFTables", routerKit]),
    // Pure: the nftables table of the port-set NAT.
    .target(name: "PortSetNAT", dependencies: ["NFTables", routerKit]),
    // What CLI and daemon say to each other.
    .target(name: "ControlProtocol", dependencies: []),
    // The only Swift that sees libnftnl, libnetfilter_conntrack and libsystemd.
    // libmnl by name: what module maps ask for comes before the objects, where --as-needed finds no use for it yet.
    .target(name: "NFTables", dependencies: ["CNFTNL", routerKit], linkerSettings: [.linkedLibrary("mnl")]),
    .target(name: "Conntrack", dependencies: ["CConntrack", routerKit], linkerSettings: [.linkedLibrary("mnl")]),
    .target(name: "Systemd", dependencies: ["CSystemd"]),
    .systemLibrary(name: "CLinux"),
    .systemLibrary(name: "CNFTNL", pkgConfig: "libnftnl", providers: [.apt(["libnftnl-dev"])]),
    .systemLibrary(
      name: "CConntrack", pkgConfig: "libnetfilter_conntrack", providers: [.apt(["libnetfilter-conntrack-dev"])]),
    .systemLibrary(name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
  ]
    + profile("BIGLOBE", dataFile: "BIGLOBE.rules") + profile("OCN", dataFile: "OCN.rules")
    + profile("NURO", dataFile: "NURO.rules") + profile("V6Plus", dataFile: "V6Plus.rules") + profile("DSLite")
    + profile("FixedIP") + profile("Announced")
    + dataplane("IP6Tnl") + dataplane("TUN", shim: "CTUN") + [
      // What tests share: network namespaces of their own.
      .target(name: "TestSupport", dependencies: ["CTestSupport"], path: "Tests/TestSupport"),
      .target(name: "CTestSupport", path: "Tests/CTestSupport"),
      .testTarget(name: "RouterKitTests", dependencies: [routerKit, "TestSupport"]),
      .testTarget(name: "NetlinkTests", dependencies: [routerKit, "TestSupport"]),
      .testTarget(name: "NFTablesTests", dependencies: ["NFTables", routerKit, "TestSupport"]),
      .testTarget(name: "PortSetNATTests", dependencies: ["PortSetNAT", "NFTables", routerKit, "TestSupport"]),
      .testTarget(name: "ConntrackTests", dependencies: ["Conntrack", routerKit, "TestSupport"]),
      .testTarget(name: "IP6TnlTests", dependencies: ["IP6Tnl", routerKit, "TestSupport"]),
      .testTarget(name: "TUNTests", dependencies: ["TUN", routerKit, "TestSupport"]),
      .testTarget(
        name: "RouterCoreTests", dependencies: ["RouterCore", "PortSetNAT", "NFTables", routerKit, "TestSupport"]),
      .testTarget(
        name: "RouterDaemonTests",
        dependencies: [
          "RouterDaemon", "RouterCore", "PortSetNAT", "Conntrack", "ControlProtocol", routerKit, logging, "TestSupport",
        ]),
    ],
  swiftLanguageModes: [.v6]
)

// One place for the settings of every target; system libraries take none. Why the linker has a script in front of it is
// told there.
for target in package.targets where target.type != .system {
  target.swiftSettings = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
  ]
  // Where all checks run, warnings are errors; on somebody else's compiler they should not stop a build. Only the
  // targets of this package are meant, not its dependencies.
  if Context.environment["ROUTERD_CI"] != nil {
    target.swiftSettings?.append(.treatAllWarnings(as: .error))
    target.cSettings = (target.cSettings ?? []) + [.treatAllWarnings(as: .error)]
  }
  target.linkerSettings =
    (target.linkerSettings ?? []) + [.unsafeFlags(["-ld-path=\(Context.packageDirectory)/packaging/ld-as-needed"])]
}
