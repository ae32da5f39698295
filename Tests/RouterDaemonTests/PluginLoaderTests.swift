// SPDX-License-Identifier: GPL-3.0-or-later
//
// The loader: real plugins of this build load; whatever is wrong with others is told, and harms nobody.

import RouterCore
import RouterDaemon
import RouterKit
import TestSupport
import Testing

struct PluginLoaderTests {
  @Test func loadsThePluginsOfThisBuild() throws {
    let set = BuildFolder.plugins
    #expect(
      set.profiles.map(\.id.name).sorted() == ["announced", "biglobe", "dslite", "fixedip", "nuro", "ocn", "v6plus"])
    #expect(set.dataplanes.map(\.id.name).sorted() == ["ip6tnl", "tun"])
    #expect(set.files.allSatisfy { $0.state == .loaded }, "\(set.files)")
    #expect(set.duplicates.isEmpty)
  }

  private func reason(flags: String = "", _ source: String) throws -> String {
    let folder = try TemporaryFolder()
    try folder.buildPlugin("Bad", flags: flags, source: source)
    let set = PluginLoader(locator: PluginLocator(configured: [folder.path])).load()
    #expect(set.plugins.isEmpty)
    guard case .skipped(let reason) = try #require(set.files.first).state else { return "loaded" }
    return reason
  }

  @Test func skipsAnotherMajorVersion() throws {
    let reason = try reason(
      """
      #undef ROUTERD_PLUGIN_API_MAJOR
      #define ROUTERD_PLUGIN_API_MAJOR 99
      ROUTERD_PLUGIN("isp.bad", "1")
      void routerd_plugin_main(void *registrar) { __builtin_trap(); }
      """)
    #expect(reason.contains("plugin API 99.0, this routerd has 1.0"), "\(reason)")
  }

  @Test func skipsANewerMinorVersion() throws {
    let reason = try reason(
      """
      #undef ROUTERD_PLUGIN_API_MINOR
      #define ROUTERD_PLUGIN_API_MINOR 7
      ROUTERD_PLUGIN("isp.bad", "1")
      void routerd_plugin_main(void *registrar) { __builtin_trap(); }
      """)
    #expect(reason.contains("plugin API 1.7"), "\(reason)")
  }

  @Test func skipsAnotherCompiler() throws {
    let reason = try reason(
      flags: "-DROUTERD_PLUGIN_COMPILER='\"Swift 5.0\"'",
      "ROUTERD_PLUGIN(\"isp.bad\", \"1\")\nvoid routerd_plugin_main(void *registrar) { __builtin_trap(); }")
    #expect(reason.contains("built by another compiler (Swift 5.0)"), "\(reason)")
  }

  @Test func skipsWhatIsNoPlugin() throws {
    #expect(try reason("int something;").contains("no routerd plugin"))
    #expect(try reason("const int routerd_plugin_descriptor[16] = {1, 2, 3};").contains("no routerd plugin"))
    #expect(try reason("ROUTERD_PLUGIN(\"NURO!\", \"1\")").contains("no plugin id"))
    #expect(try reason("ROUTERD_PLUGIN(\"isp.bad\", \"1\")").contains("does not export routerd_plugin_main"))
    #expect(
      try reason("ROUTERD_PLUGIN(\"isp.bad\", \"1\")\nvoid routerd_plugin_main(void *registrar) {}")
        .contains("registered nothing"))
    let folder = try TemporaryFolder()
    try folder.write("libText.so", "this is no shared object")
    try folder.write("README", "nor is this, and it is not looked at")
    let files = PluginLoader(locator: PluginLocator(configured: [folder.path])).load().files
    #expect(files.count == 1)
    guard case .skipped(let reason) = files[0].state else {
      Issue.record("a text was loaded")
      return
    }
    #expect(reason.contains("cannot be opened"), "\(reason)")
  }

  /// Each of these would hold or end the process if dlopen got it: a test that hangs or crashes has failed.
  @Test func survivesWhatTheDynamicLinkerDoesNot() throws {
    let folder = try TemporaryFolder()
    try shell(
      """
      cd '\(folder.path)'
      mkfifo libFIFO.so
      mkdir libFolder.so
      ln -s libLoop.so libLoop.so
      head -c 100000 '\(BuildFolder.path)/libTUN.so' > libPart.so
      """)
    let files = PluginLoader(locator: PluginLocator(configured: [folder.path])).load().files
    let wanted = [
      "libFIFO": "no regular file", "libFolder": "no regular file", "libLoop": "symbolic", "libPart": "cut off",
    ]
    #expect(files.count == wanted.count)
    for file in files {
      guard case .skipped(let reason) = file.state else {
        Issue.record("\(file.path) was loaded")
        continue
      }
      let name = try #require(wanted.keys.first { file.path.hasSuffix("/\($0).so") })
      #expect(wanted[name].map(reason.contains) == true, "\(file.path): \(reason)")
    }
  }

  @Test func skipsAProfileWhoseTableIsBrokenOrMissing() throws {
    let folder = try TemporaryFolder()
    try shell("cp '\(BuildFolder.path)/libNURO.so' '\(folder.path)'")
    let locator = PluginLocator(configured: [folder.path], executable: "/nowhere/routerd")
    let missing = PluginLoader(locator: locator).load()
    #expect("\(missing.files)".contains("NURO.rules"))
    #expect(missing.plugins.isEmpty)
    try folder.write("NURO.rules", "routerd-rules 1\nrule 240d:f:a000::/36 219.104.138.0/20 ea 20\n")
    let broken = PluginLoader(locator: locator).load()
    #expect("\(broken.files)".contains("line 2") && broken.plugins.isEmpty, "\(broken.files)")
  }

  @Test func removingAFileRemovesExactlyItsProfile() throws {
    let folder = try TemporaryFolder()
    try shell("cp '\(BuildFolder.path)'/lib{BIGLOBE,OCN,DSLite,V6Plus,TUN}.so '\(folder.path)'".bashExpanded)
    let set = PluginLoader(
      locator: PluginLocator(configured: [folder.path], executable: "\(BuildFolder.path)/routerd")
    ).load()
    #expect(set.profiles.map(\.id.name).sorted() == ["biglobe", "dslite", "ocn", "v6plus"])
  }

  @Test func aDuplicateIdNamesBothFiles() throws {
    let folder = try TemporaryFolder()
    try shell(
      "cp '\(BuildFolder.path)/libDSLite.so' '\(folder.path)/libA.so'; "
        + "cp '\(BuildFolder.path)/libDSLite.so' '\(folder.path)/libB.so'")
    let set = PluginLoader(locator: PluginLocator(configured: [folder.path])).load()
    #expect(set.profiles.count == 1)
    let message = try #require(set.duplicates.first)
    #expect(message.contains("libA.so") && message.contains("libB.so") && message.contains("isp.dslite"))
    let error = try #require(throws: SetupError.self) { try Setup(configuration: .init(), plugins: set) }
    #expect(error.description == message)
  }

  @Test func anEarlierFolderHidesTheSameName() throws {
    let first = try TemporaryFolder()
    let second = try TemporaryFolder()
    try first.write("libX.so", "one")
    try second.write("libX.so", "two")
    try second.write("libY.so", "three")
    let locator = PluginLocator(configured: [first.path, second.path, "/does/not/exist"])
    #expect(locator.sharedObjects() == ["\(first.path)/libX.so", "\(second.path)/libY.so"])
  }
}

extension String {
  /// For `sh`, which knows no braces.
  fileprivate var bashExpanded: String { "bash -c \"\(self)\"" }
}
