// SPDX-License-Identifier: GPL-3.0-or-later
//
// Tells the reconciler to look again: whenever links, addresses, routes or the ruleset change, and every half minute in
// case a change went unseen. What changed does not matter here.

import Dispatch
import Logging
import NFTables
import Netlink
import ServiceLifecycle

/// Something of the kernel that says when it changed.
protocol KernelMonitor: Sendable {
  /// Becomes readable when there is something to take.
  var descriptor: CInt { get }
  /// Takes it without blocking; true if it is time to look again.
  func drainNotifications() throws -> Bool
}

extension NetlinkMonitor: KernelMonitor {
  func drainNotifications() throws -> Bool { try drain() }
}

extension NFTablesMonitor: KernelMonitor {
  func drainNotifications() throws -> Bool { try drain() }
}

struct KernelWatcher: Service {
  let monitors: [any KernelMonitor]
  let reconciler: Reconciler
  let logger: Logger

  private static let fullCheckPeriod = Duration.seconds(30)

  func run() async throws {
    let (events, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    let sources = monitors.map { watch($0, continuation) }
    defer { for source in sources { source.cancel() } }
    await withTaskGroup(of: Void.self) { group in
      group.addTask {
        for await _ in events.cancelOnGracefulShutdown() { await reconciler.lookAgain() }
      }
      group.addTask {
        await cancelWhenGracefulShutdown {
          while !Task.isCancelled {
            do { try await Task.sleep(for: Self.fullCheckPeriod) } catch { return }
            await reconciler.lookAgain(isFullCheck: true)
          }
        }
      }
    }
  }

  private func watch(
    _ monitor: any KernelMonitor, _ events: AsyncStream<Void>.Continuation
  ) -> any DispatchSourceRead {
    let logger = logger
    let source = DispatchSource.makeReadSource(fileDescriptor: monitor.descriptor, queue: .global())
    source.setEventHandler {
      do {
        if try monitor.drainNotifications() { events.yield() }
      } catch {
        logger.error("kernel events cannot be read: \(error)")
        events.yield()
      }
    }
    source.activate()
    return source
  }
}
