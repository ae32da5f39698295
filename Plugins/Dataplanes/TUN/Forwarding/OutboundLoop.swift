// SPDX-License-Identifier: GPL-3.0-or-later
//
// From the device into the softwire: read frames, make packets of them until there is none left or the batch is full,
// send the batch with one system call.

import Glibc
import RouterKit

/// The loop of the thread that sends.
struct OutboundLoop {
  private let context: TunnelContext
  private let wakeUp: WakeUp
  private let batch = PacketBatch()
  /// The frame that is being cut up, with its offload header. One batch may end in the middle of it.
  private let frame = FrameBuffer()
  private var frameLength = 0
  private var segmenter: Segmenter?
  private var snapshot: TunnelContext.Snapshot
  private var generation: UInt64
  private var encapsulator: Encapsulator

  init(_ context: TunnelContext, _ wakeUp: WakeUp) {
    self.context = context
    self.wakeUp = wakeUp
    generation = context.generation
    snapshot = context.snapshot
    encapsulator = Encapsulator(snapshot.configuration)
  }

  /// Runs until the tunnel is stopped or the device is gone.
  mutating func run() {
    while !context.isStopping {
      if context.generation != generation {
        generation = context.generation
        snapshot = context.snapshot
        encapsulator.configuration = snapshot.configuration
      }
      let (count, isDrained) = fill()
      if count > 0 { send(count) }
      if isDrained, !context.isStopping { wakeUp.wait(for: context.device.fileNumber, events: POLLIN) }
    }
  }

  /// Fills the batch with packets that may be sent; returns how many, and whether there was nothing more to read.
  private mutating func fill() -> (count: Int, isDrained: Bool) {
    let now = ContinuousClock.now
    var count = 0
    // Dropped packets do not fill the batch; a limit on reads keeps the loop listening.
    var reads = 0
    while count < PacketBatch.count {
      let room = batch.packet(count, length: PacketBatch.packetSize)
      if let length = segmenter?.next(of: frame.packet(length: frameLength).bytes, into: room) {
        if handle(batch.packet(count, length: length), at: count, now: now) { count += 1 }
        continue
      }
      guard reads < PacketBatch.count else { return (count, false) }
      reads += 1
      do throws(SystemError) {
        frameLength = try context.device.read(into: frame.bytes)
      } catch {
        segmenter = nil
        if error.code != EAGAIN { context.fail() }
        return (count, true)
      }
      segmenter = Segmenter(frame.packet(length: frameLength).bytes, OffloadHeader(reading: frame.header.bytes))
    }
    return (count, false)
  }

  /// Decides about the packet in buffer `index`; true if it is to be sent.
  private mutating func handle(
    _ packet: UnsafeMutableRawBufferPointer, at index: Int, now: ContinuousClock.Instant
  ) -> Bool {
    let bytes = UnsafeRawBufferPointer(packet).bytes
    let context = context
    switch encapsulator.handle(bytes, now: now, pathMTU: { context.pathMTU(to: $0, now: now) }) {
    case .send(let destination, let trafficClass, let length):
      batch.address(index, to: destination, trafficClass: trafficClass, length: length)
      if let header = try? IPv4Header(bytes), let news = SegmentSizes.News(bytes, header) {
        context.learn(news, now: now)
      }
      return true
    case .tooBig(let mtu):
      // The rest of a run would only be told the same.
      segmenter = nil
      if let answer = ICMPError.fragmentationNeeded(mtu: mtu).packet(about: bytes) {
        context.answer(answer, counting: .tooBig, now: now)
      } else {
        context.counters.count(.tooBig)
      }
    case .drop(let reason):
      context.counters.count(reason)
    }
    return false
  }

  /// Sends the first `count` packets. A full socket is waited for: it drains at the speed of the line, and what does not
  /// fit meanwhile waits in the device's queue, where senders can see it.
  private func send(_ count: Int) {
    var next = 0
    while next < count {
      do throws(SystemError) {
        next += try snapshot.sockets.send(batch, next..<count)
      } catch {
        switch error.code {
        case EINTR:
          break
        case EAGAIN, ENOBUFS, ENOMEM:
          if context.isStopping || context.generation != generation {
            for _ in next..<count { context.counters.count(.sendQueueFull) }
            return
          }
          // A queue behind the socket that is full (ENOBUFS) cannot be waited for; a millisecond is 64 packets at most.
          let isSocketFull = error.code == EAGAIN
          wakeUp.wait(
            for: isSocketFull ? snapshot.sockets.packetsFileNumber : -1, events: POLLOUT,
            milliseconds: isSocketFull ? 100 : 1)
        default:
          // No route, or refused by a filter: that packet's fault, not that of the ones behind it.
          context.counters.count(.sendFailed)
          next += 1
        }
      }
    }
  }
}
