// swift-tools-version: 6.2
// SPDX-License-Identifier: GPL-3.0-or-later
//
// The SDK of routerd: everything a plugin may rely on. It is a package of its own, with ONE dynamic product, because
// Swift copies a library target into every product of the same package: plugin and daemon would then each have their
// own `ISPProfile`, and casts between them would be false (docs/adr/0001-plugins-are-shared-objects.md).

import PackageDescription

let settings: [SwiftSetting] =
  [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
  ] + (Context.environment["ROUTERD_CI"] == nil ? [] : [.treatAllWarnings(as: .error)])

let package = Package(
  name: "RouterKit",
  products: [
    .library(name: "RouterKit", type: .dynamic, targets: ["RouterKit", "Netlink", "CRouterPlugin"])
  ],
  targets: [
    // Pure: addresses, port sets, softwire arithmetic, rule tables, the plugin contract. No I/O, no dependency.
    .target(name: "RouterKit", path: "RouterKit", swiftSettings: settings),
    // Links, addresses and routes over rtnetlink, for the daemon and for dataplane plugins.
    .target(name: "Netlink", dependencies: ["RouterKit", "CMNL"], path: "Netlink", swiftSettings: settings),
    // The C struct that a plugin shows before any of its Swift code runs.
    .target(name: "CRouterPlugin", path: "CRouterPlugin"),
    .systemLibrary(name: "CMNL", path: "CMNL", pkgConfig: "libmnl", providers: [.apt(["libmnl-dev"])]),
  ],
  swiftLanguageModes: [.v6]
)
