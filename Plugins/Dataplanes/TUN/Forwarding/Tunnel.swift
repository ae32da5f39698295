// SPDX-License-Identifier: GPL-3.0-or-later
//
// A running tunnel: device, sockets and the three threads between them.

import RouterKit
import Synchronization

/// A tunnel that this process forwards for. It stops with its last user; the device stays.
final class Tunnel: Sendable {
  private let context: TunnelContext
  private let wakeUps: [WakeUp]
  private let threads: [ForwardingThread]
  private let currentSpec: Mutex<TunnelSpec>

  /// Starts forwarding.
  init(_ spec: TunnelSpec, device: TUNDevice, sockets: SoftwireSockets, counters: Counters) throws(DataplaneError) {
    let context = TunnelContext(
      device: device, counters: counters,
      TunnelContext.Snapshot(configuration: PacketConfiguration(spec), sockets: sockets))
    var wakeUps: [WakeUp] = []
    var threads: [ForwardingThread] = []
    do throws(SystemError) {
      for direction in Direction.allCases {
        let wakeUp = try WakeUp()
        wakeUps.append(wakeUp)
        threads.append(try ForwardingThread(name: direction.rawValue) { direction.run(context, wakeUp) })
      }
    } catch {
      Self.stop(context, wakeUps, threads)
      throw DataplaneError("cannot start the forwarding threads: \(error)")
    }
    self.context = context
    self.wakeUps = wakeUps
    self.threads = threads
    currentSpec = Mutex(spec)
  }

  deinit {
    Self.stop(context, wakeUps, threads)
  }

  /// The device that it forwards for.
  var device: TUNDevice { context.device }

  /// What it forwards now; nothing if the device was taken away.
  var spec: TunnelSpec? {
    context.hasFailed ? nil : currentSpec.withLock { $0 }
  }

  /// Goes over to `spec` without a gap: the sockets of a new local address are open before those of the old one close.
  func change(to spec: TunnelSpec) throws(DataplaneError) {
    guard self.spec != spec else { return }
    let old = context.snapshot.sockets
    let sockets =
      old.localAddress == spec.localAddress ? old : try SoftwireSockets(localAddress: spec.localAddress)
    context.snapshot = TunnelContext.Snapshot(configuration: PacketConfiguration(spec), sockets: sockets)
    currentSpec.withLock { $0 = spec }
    for wakeUp in wakeUps { wakeUp.send() }
  }

  /// The threads, by the names that ps(1) shows.
  private enum Direction: String, CaseIterable {
    case outbound = "tun-out"
    case inbound = "tun-in"
    case errors = "tun-error"

    /// Runs the thread's loop; its buffers are made on the thread that uses them.
    func run(_ context: TunnelContext, _ wakeUp: WakeUp) {
      switch self {
      case .outbound:
        var loop = OutboundLoop(context, wakeUp)
        loop.run()
      case .inbound:
        var loop = InboundLoop(context, wakeUp)
        loop.run()
      case .errors:
        var loop = ErrorLoop(context, wakeUp)
        loop.run()
      }
    }
  }

  private static func stop(_ context: TunnelContext, _ wakeUps: [WakeUp], _ threads: [ForwardingThread]) {
    context.stop()
    for wakeUp in wakeUps { wakeUp.send() }
    for thread in threads { thread.join() }
  }
}
