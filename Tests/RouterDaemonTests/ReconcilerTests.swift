// SPDX-License-Identifier: GPL-3.0-or-later
//
// The loop with a dataplane that only watches how it is called. The WAN interface does not exist, so nothing is planned.

import ControlProtocol
import Glibc
import Logging
import RouterCore
import RouterKit
import Synchronization
import Testing

@testable import RouterDaemon

/// Notes whether one call began before another had ended.
private final class WatchfulDataplane: Dataplane, DataplaneProvider {
  let id: PluginID
  let title = "a dataplane that only watches"
  let capabilities: DataplaneCapabilities = [.mapE]
  private let calls = Mutex<(open: Int, all: Int, overlapping: Int)>((0, 0, 0))

  init() throws {
    id = try #require(PluginID(.dataplane, "watchful"))
  }

  var count: Int { calls.withLock { $0.all } }
  var overlaps: Int { calls.withLock { $0.overlapping } }

  func missingRequirement() -> String? { nil }
  func makeDataplane(log: any PluginLog) -> any Dataplane { self }

  func observe(_ tunnel: TunnelSpec) async throws(DataplaneError) -> TunnelState? {
    calls.withLock {
      $0.open += 1
      $0.all += 1
      if $0.open > 1 { $0.overlapping += 1 }
    }
    for _ in 0..<100 { await Task.yield() }
    calls.withLock { $0.open -= 1 }
    return nil
  }

  func apply(_ tunnel: TunnelSpec) async throws(DataplaneError) {}
  func remove(deviceName: String) async throws(DataplaneError) {}
  func counters() -> [String: UInt64] { [:] }
}

struct ReconcilerTests {
  @Test func passesAndReloadsNeverOverlap() async throws {
    let folder = try TemporaryFolder()
    let file = ConfigurationFile(
      path: try folder.write(
        "routerd.toml", "[wan]\ninterface = \"no-such-wan\"\nprefix = \"2404:7a82:4d02:4100::/56\"\n"))
    let dataplane = try WatchfulDataplane()
    let plugins = PluginSet(
      files: [], plugins: BuildFolder.plugins.profiles.map { .profile($0) } + [.dataplane(dataplane)], duplicates: [])
    let setup = try Setup(configuration: try file.load(), plugins: plugins)
    let reconciler = Reconciler(
      file: file, plugins: plugins, setup: setup, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    let loop = Task { try await reconciler.run() }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<20 {
        group.addTask { try await reconciler.reload() }
        group.addTask { await reconciler.lookAgain() }
      }
      try await group.waitForAll()
    }
    loop.cancel()
    try await loop.value
    #expect(dataplane.count >= 20)
    #expect(dataplane.overlaps == 0)
    let status = await reconciler.report()
    #expect(status.state == .waiting && status.reason == "there is no interface no-such-wan")
  }

  /// Takes note of numbers.
  private actor Notes {
    var numbers: [Int] = []

    func add(_ number: Int) { numbers.append(number) }
  }

  @Test func oneTurnEndsBeforeTheNextBegins() async {
    let turns = Turns()
    let notes = Notes()
    await withTaskGroup(of: Void.self) { group in
      for number in 0..<50 {
        group.addTask {
          await turns.take {
            await notes.add(number)
            await Task.yield()
            await notes.add(number)
          }
        }
      }
    }
    let numbers = await notes.numbers
    #expect(numbers.count == 100)
    for index in stride(from: 0, to: numbers.count, by: 2) { #expect(numbers[index] == numbers[index + 1]) }
  }
}
