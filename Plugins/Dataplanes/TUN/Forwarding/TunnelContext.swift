// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the threads of one tunnel share. A change is one assignment under a lock; threads notice by a number that they
// read for each batch, and take the new configuration together with the new sockets. The old sockets are closed by the
// last thread that lets go of them, so a change never leaves a moment without a socket.

import RouterKit
import Synchronization

/// The state shared by the threads of a tunnel.
final class TunnelContext: Sendable {
  /// What threads work with.
  struct Snapshot: Sendable {
    let configuration: PacketConfiguration
    let sockets: SoftwireSockets
  }

  let device: TUNDevice
  let counters: Counters
  private let current: Mutex<Snapshot>
  private let changes = Atomic<UInt64>(0)
  private let stopping = Atomic<Bool>(false)
  private let failed = Atomic<Bool>(false)
  /// The path MTU as far as the kernel knows, with which what was learnt is compared.
  private let routeMTU = Atomic<Int>(PathMTUCache.minimum)
  private let pathMTUs = Mutex(PathMTUCache())
  private let segmentSizes = Mutex(SegmentSizes())
  /// Enough for traceroute and many senders that learn a path MTU at once; too little to be an amplifier.
  private let answers = Mutex(TokenBucket(capacity: 200, interval: .milliseconds(5)))

  init(device: TUNDevice, counters: Counters, _ snapshot: Snapshot) {
    self.device = device
    self.counters = counters
    current = Mutex(snapshot)
    refreshRouteMTU()
  }

  /// Rises with every change.
  var generation: UInt64 { changes.load(ordering: .acquiring) }

  /// What to work with now.
  var snapshot: Snapshot {
    get { current.withLock { $0 } }
    set {
      current.withLock { $0 = newValue }
      changes.add(1, ordering: .releasing)
      refreshRouteMTU()
    }
  }

  /// Whether the threads are to end.
  var isStopping: Bool { stopping.load(ordering: .acquiring) }

  /// Asks the threads to end.
  func stop() { stopping.store(true, ordering: .releasing) }

  /// Whether the device was taken away, so that nobody forwards.
  var hasFailed: Bool { failed.load(ordering: .acquiring) }

  /// Notes that the device is gone.
  func fail() {
    failed.store(true, ordering: .releasing)
    stop()
  }

  /// Asks the kernel again which packet size the way to the relay takes.
  func refreshRouteMTU() {
    let snapshot = snapshot
    let mtu = snapshot.sockets.routeMTU(to: snapshot.configuration.relay)
    routeMTU.store(mtu ?? snapshot.configuration.mtu + PathMTUCache.overhead, ordering: .relaxed)
  }

  /// The size of outer packets that reach `destination`.
  func pathMTU(to destination: IPv6Address, now: ContinuousClock.Instant) -> Int {
    let limit = routeMTU.load(ordering: .relaxed)
    return pathMTUs.withLock { $0.mtu(for: destination, limit: limit, now: now) }
  }

  /// Notes a path MTU.
  func learn(_ learned: TunnelErrorTranslator.LearnedMTU, now: ContinuousClock.Instant) {
    pathMTUs.withLock { $0.learn(learned.mtu, for: learned.destination, now: now) }
  }

  /// Notes how large a flow's segments may be.
  func learn(_ news: SegmentSizes.News, now: ContinuousClock.Instant) {
    segmentSizes.withLock { $0.learn(news, now: now) }
  }

  /// The largest packet that `flow` takes.
  func packetSize(for flow: Flow, limit: Int, now: ContinuousClock.Instant) -> Int {
    segmentSizes.withLock { $0.packetSize(for: flow, limit: limit, now: now) }
  }

  /// Hands an error to the sender inside and counts it as `reason`, or counts that there are too many.
  func answer(_ packet: [UInt8], counting reason: DropReason, now: ContinuousClock.Instant) {
    guard answers.withLock({ $0.take(now: now) }) else {
      counters.count(.errorRateLimited)
      return
    }
    do throws(SystemError) {
      try device.write(packet: packet)
      counters.count(reason)
    } catch {
      counters.count(.deviceWriteFailed)
    }
  }
}
