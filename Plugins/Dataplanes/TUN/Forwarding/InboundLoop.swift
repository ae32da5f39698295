// SPDX-License-Identifier: GPL-3.0-or-later
//
// From the softwire to the device: receive a batch with one system call, write each packet that passes the checks.

import Glibc
import RouterKit

/// The loop of the thread that receives.
struct InboundLoop {
  private let context: TunnelContext
  private let wakeUp: WakeUp
  private let batch = PacketBatch()
  private var snapshot: TunnelContext.Snapshot
  private var generation: UInt64
  private var decapsulator: Decapsulator

  init(_ context: TunnelContext, _ wakeUp: WakeUp) {
    self.context = context
    self.wakeUp = wakeUp
    generation = context.generation
    snapshot = context.snapshot
    decapsulator = Decapsulator(snapshot.configuration)
  }

  /// Runs until the tunnel is stopped or the device is gone.
  mutating func run() {
    while !context.isStopping {
      if context.generation != generation {
        // What the old sockets have already received still counts, by the old configuration.
        while receive() {}
        generation = context.generation
        snapshot = context.snapshot
        decapsulator.configuration = snapshot.configuration
      }
      if !receive(), !context.isStopping {
        wakeUp.wait(for: snapshot.sockets.packetsFileNumber, events: POLLIN)
      }
    }
  }

  /// Moves one batch; false if there was nothing.
  private mutating func receive() -> Bool {
    batch.prepareToReceive()
    guard let count = try? snapshot.sockets.receive(batch), count > 0 else { return false }
    let now = ContinuousClock.now
    for index in 0..<count where !context.isStopping {
      deliver(index, now: now)
    }
    return !context.isStopping
  }

  private mutating func deliver(_ index: Int, now: ContinuousClock.Instant) {
    var packet = batch.packet(index, length: batch.length(index)).mutableBytes
    let context = context
    let mtu = snapshot.configuration.mtu
    let verdict = decapsulator.handle(
      &packet, from: batch.peer(index), trafficClass: batch.trafficClass(index), now: now,
      packetSize: { context.packetSize(for: $0, limit: mtu, now: now) })
    switch verdict {
    case .drop(let reason):
      context.counters.count(reason)
    case .deliver(let offload, let length):
      let framed = batch.packetWithHeader(index, length: length)
      var bytes = framed.mutableBytes
      offload.write(to: &bytes)
      do throws(SystemError) {
        try context.device.write(UnsafeRawBufferPointer(framed))
      } catch {
        context.counters.count(.deviceWriteFailed)
        // The device was removed under us.
        if error.code == EBADFD { context.fail() }
      }
    }
  }
}
