// SPDX-License-Identifier: GPL-3.0-or-later
//
// The buffers of one thread, made once: no packet costs an allocation. A buffer has room for the largest IPv4 packet and,
// before it, for the offload header of the device, so that both are read and written in one piece. Memory is only used as
// far as packets reach.

import CTUN
import RouterKit

/// Buffers for the packets that one system call moves. It belongs to the thread that made it.
final class PacketBatch {
  /// How many packets it holds.
  static let count = Int(ROUTERD_TUN_BATCH)
  /// The largest IPv4 packet.
  static let packetSize = 65535
  /// Where packets begin in their buffers; more than the offload header takes, so that they are aligned.
  private static let headroom = 16
  private static let bufferSize = 65536 + 64

  /// The packets as the shim takes them.
  let messages: UnsafeMutablePointer<routerd_tun_message>
  private let memory: UnsafeMutableRawPointer

  init() {
    messages = .allocate(capacity: Self.count)
    messages.initialize(repeating: routerd_tun_message(), count: Self.count)
    memory = .allocate(byteCount: Self.count * Self.bufferSize, alignment: 64)
    prepareToReceive()
  }

  deinit {
    messages.deallocate()
    memory.deallocate()
  }

  /// Offers the whole of every buffer.
  func prepareToReceive() {
    for index in 0..<Self.count {
      messages[index].data = start(index)
      messages[index].length = UInt32(Self.packetSize)
    }
  }

  /// The packet in buffer `index`, `length` bytes long.
  func packet(_ index: Int, length: Int) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: start(index), count: min(max(length, 0), Self.packetSize))
  }

  /// The packet in buffer `index`, `length` bytes long, with the offload header before it.
  func packetWithHeader(_ index: Int, length: Int) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(
      start: start(index) - OffloadHeader.size, count: min(max(length, 0), Self.packetSize) + OffloadHeader.size)
  }

  /// Notes where the packet in buffer `index` goes.
  func address(_ index: Int, to destination: IPv6Address, trafficClass: UInt8, length: Int) {
    messages[index].length = UInt32(clamping: length)
    messages[index].traffic_class = trafficClass
    withUnsafeMutableBytes(of: &messages[index].address) {
      $0.storeBytes(of: destination.bits.bigEndian, as: UInt128.self)
    }
  }

  /// The length of the packet received into buffer `index`; 0 if it did not fit.
  func length(_ index: Int) -> Int {
    Int(messages[index].length)
  }

  /// The outer traffic class of the packet received into buffer `index`.
  func trafficClass(_ index: Int) -> UInt8 {
    messages[index].traffic_class
  }

  /// The far end that the packet in buffer `index` came from.
  func peer(_ index: Int) -> IPv6Address {
    withUnsafeBytes(of: &messages[index].address) {
      IPv6Address(bits: UInt128(bigEndian: $0.loadUnaligned(as: UInt128.self)))
    }
  }

  private func start(_ index: Int) -> UnsafeMutableRawPointer {
    // Every caller counts from 0 below `count`; the clamp makes sure.
    memory + min(max(index, 0), Self.count - 1) * Self.bufferSize + Self.headroom
  }
}

/// Room for one frame read from the device: offload header and packet. It belongs to the thread that made it.
final class FrameBuffer {
  /// The whole buffer.
  let bytes: UnsafeMutableRawBufferPointer

  init() {
    bytes = .allocate(byteCount: OffloadHeader.size + PacketBatch.packetSize, alignment: 64)
    bytes.initializeMemory(as: UInt8.self, repeating: 0)
  }

  deinit {
    bytes.deallocate()
  }

  /// The offload header.
  var header: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: bytes.baseAddress, count: OffloadHeader.size)
  }

  /// The packet of a frame that is `length` bytes long with its header.
  func packet(length: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: bytes[OffloadHeader.size..<min(max(length, OffloadHeader.size), bytes.count)])
  }
}
