// swift-tools-version: 6.2
// SPDX-License-Identifier: GPL-3.0-or-later
//
// A plugin outside the daemon's tree, to start one's own from: docs/plugins.md walks through it. It depends on the SDK
// and on nothing else.

import PackageDescription

let routerKit: Target.Dependency = .product(name: "RouterKit", package: "RouterKit")

let package = Package(
  name: "Example",
  products: [
    // Dynamic, because the daemon opens it. The file becomes libExample.so, and its rules are then Example.rules.
    .library(name: "Example", type: .dynamic, targets: ["Example", "ExampleDescriptor"])
  ],
  // In a copy elsewhere, this is the path to Sources/RouterKit of exactly the routerd that will load the plugin.
  dependencies: [.package(path: "../../Sources/RouterKit")],
  targets: [
    // What the plugin does.
    .target(name: "Example", dependencies: [routerKit, "ExampleDescriptor"]),
    // What the loader reads before it calls anything.
    .target(name: "ExampleDescriptor", dependencies: [routerKit], publicHeadersPath: "."),
  ],
  swiftLanguageModes: [.v6]
)
