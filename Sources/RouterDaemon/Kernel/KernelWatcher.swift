// SPDX-License-Identifier: GPL-3.0-or-later
//
// Tells the reconciler to look again: whenever links, addresses or routes change, and every half minute in case a change
// went unseen. What changed does not matter here.

import Dispatch
import Logging
import Netlink
import ServiceLifecycle

struct KernelWatcher: Service {
  let monitor: NetlinkMonitor
  let reconciler: Reconciler
  let logger: Logger

  private static let fullCheckPeriod = Duration.seconds(30)

  func run() async throws {
    let (events, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    let monitor = monitor
    let logger = logger
    let source = DispatchSource.makeReadSource(fileDescriptor: monitor.descriptor, queue: .global())
    source.setEventHandler {
      do {
        if try monitor.drain() { continuation.yield() }
      } catch {
        logger.error("kernel events cannot be read: \(error)")
        continuation.yield()
      }
    }
    source.activate()
    defer { source.cancel() }
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
}
