// SPDX-License-Identifier: GPL-3.0-or-later
//
// ICMPv6 errors about the tunnel, and the one thing that needs a look now and then: the packet size that the kernel's
// route takes, which changes with the WAN link and when the kernel forgets a path MTU.

import Glibc
import RouterKit

/// The loop of the thread for errors.
struct ErrorLoop {
  private static let refreshInterval = Duration.seconds(10)

  private let context: TunnelContext
  private let wakeUp: WakeUp
  private let batch = PacketBatch()
  private var snapshot: TunnelContext.Snapshot
  private var generation: UInt64
  private var translator: TunnelErrorTranslator
  private var nextRefresh = ContinuousClock.now

  init(_ context: TunnelContext, _ wakeUp: WakeUp) {
    self.context = context
    self.wakeUp = wakeUp
    generation = context.generation
    snapshot = context.snapshot
    translator = TunnelErrorTranslator(configuration: snapshot.configuration)
  }

  /// Runs until the tunnel is stopped.
  mutating func run() {
    while !context.isStopping {
      if context.generation != generation {
        generation = context.generation
        snapshot = context.snapshot
        translator.configuration = snapshot.configuration
      }
      let now = ContinuousClock.now
      if now >= nextRefresh {
        context.refreshRouteMTU()
        nextRefresh = now.advanced(by: Self.refreshInterval)
      }
      if !receive(now: now), !context.isStopping {
        wakeUp.wait(for: snapshot.sockets.errorsFileNumber, events: POLLIN, milliseconds: 10_000)
      }
    }
  }

  /// Handles one batch; false if there was nothing.
  private func receive(now: ContinuousClock.Instant) -> Bool {
    batch.prepareToReceive()
    guard let count = try? snapshot.sockets.receiveErrors(batch), count > 0 else { return false }
    for index in 0..<count {
      let message = UnsafeRawBufferPointer(batch.packet(index, length: batch.length(index)))
      let result = translator.translate(message.bytes)
      if let learned = result.learned { context.learn(learned, now: now) }
      if let reason = result.reason { context.counters.count(reason) }
      if let answer = result.answer { context.answer(answer, counting: .errorTranslated, now: now) }
    }
    return true
  }
}
