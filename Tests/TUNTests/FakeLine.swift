// SPDX-License-Identifier: GPL-3.0-or-later
//
// A line in one namespace: its "wan0" is a TUN device whose other end is the test, which sees every outer packet byte for
// byte and puts any packet on the line.
//
//   sockets of the test ── kernel ── softwire0 ── (dataplane under test) ── kernel ── wan0 ── the test as ISP
//
// The test is host, relay and router, one step after the other, so nothing depends on timing.

import Glibc
import Netlink
import RouterKit
import Testing

@testable import TUN

/// The ISP's end of a line.
final class FakeLine {
  /// An outer packet.
  struct Packet: Hashable {
    var trafficClass: UInt8 = 0
    var nextHeader: UInt8 = 4
    var hopLimit: UInt8 = 64
    var source: IPv6Address
    var destination: IPv6Address
    var payload: [UInt8]

    init(
      from source: IPv6Address, to destination: IPv6Address, trafficClass: UInt8 = 0, nextHeader: UInt8 = 4,
      payload: [UInt8]
    ) {
      self.source = source
      self.destination = destination
      self.trafficClass = trafficClass
      self.nextHeader = nextHeader
      self.payload = payload
    }

    init?(_ bytes: [UInt8]) {
      guard bytes.count >= 40, bytes[0] >> 4 == 6, let source = IPv6Address(bytes: bytes[8..<24]),
        let destination = IPv6Address(bytes: bytes[24..<40]), Int(word(bytes, 4)) == bytes.count - 40
      else { return nil }
      self.init(
        from: source, to: destination, trafficClass: bytes[0] << 4 | bytes[1] >> 4, nextHeader: bytes[6],
        payload: Array(bytes[40...]))
      hopLimit = bytes[7]
    }

    var bytes: [UInt8] {
      [0x60 | trafficClass >> 4, trafficClass << 4, 0, 0] + words([UInt16(payload.count)]) + [nextHeader, hopLimit]
        + source.bytes + destination.bytes + payload
    }
  }

  let tunnel: TunnelSpec
  private let descriptor: CInt

  /// Makes the line of `tunnel`: wan0 with the CE address and the IPv6 default route.
  init(_ tunnel: TunnelSpec, mtu: UInt32 = 1500) throws {
    self.tunnel = tunnel
    descriptor = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)
    // struct ifreq: the name, then the flags IFF_TUN | IFF_NO_PI.
    var request = [UInt8](repeating: 0, count: 40)
    request.replaceSubrange(0..<4, with: "wan0".utf8)
    request.replaceSubrange(16..<18, with: [0x01, 0x10])
    let tunSetInterface: UInt = 0x4004_54ca
    try #require(ioctl(descriptor, tunSetInterface, &request) == 0)
    var netlink = try NetlinkSocket()
    let wan = try #require(try netlink.link(named: "wan0"))
    try netlink.setLink(wan.index, up: true, mtu: mtu)
    try addAddress(tunnel.localAddress)
    try netlink.addRoute(
      Route(destination: try IPv6Prefix("::/0"), interfaceIndex: wan.index), ifExists: .fail)
  }

  deinit {
    close(descriptor)
  }

  /// Gives wan0 another address.
  func addAddress(_ address: IPv6Address) throws {
    var netlink = try NetlinkSocket()
    let wan = try #require(try netlink.link(named: "wan0"))
    let entry = InterfaceAddress(interfaceIndex: wan.index, address: address, flags: [.noDuplicateDetection])
    try netlink.addAddress(entry, ifExists: .fail)
    // The kernel makes the address reachable a moment after it has said that it has it.
    let own = IPv6Prefix(of: address, length: 128)
    let isReachable = try eventually {
      try netlink.routes(IPv6Address.self, table: .local).contains { $0.destination == own }
    }
    try #require(isReachable)
  }

  /// What the daemon does behind the dataplane: the IPv4 address on the softwire and the IPv4 default route.
  func configureIPv4() throws {
    var netlink = try NetlinkSocket()
    let softwire = try #require(try netlink.link(named: tunnel.deviceName))
    let address = tunnel.innerAddress ?? DSLiteSoftwire.b4IPv4Address
    try netlink.addAddress(InterfaceAddress(interfaceIndex: softwire.index, address: address), ifExists: .fail)
    try netlink.addRoute(
      Route(destination: try IPv4Prefix("0.0.0.0/0"), interfaceIndex: softwire.index, preferredSource: address),
      ifExists: .fail)
  }

  /// The next packet from the router that is not the kernel's own talk (ICMPv6, multicast listener reports).
  func receive(nextHeader: UInt8? = nil, milliseconds: CInt = 5000) throws -> Packet? {
    let deadline = ContinuousClock.now + .milliseconds(Int(milliseconds))
    var buffer = [UInt8](repeating: 0, count: 65536)
    while ContinuousClock.now < deadline {
      let count = read(descriptor, &buffer, buffer.count)
      if count > 0 {
        guard let packet = Packet(Array(buffer.prefix(count))) else { continue }
        if nextHeader.map({ $0 == packet.nextHeader }) ?? (packet.nextHeader != 58 && packet.nextHeader != 0) {
          return packet
        }
      } else {
        var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        poll(&poller, 1, 20)
      }
    }
    return nil
  }

  /// Puts a packet on the line.
  func send(_ packet: Packet) throws {
    try #require(write(descriptor, packet.bytes, packet.bytes.count) == packet.bytes.count)
  }

  /// Puts an inner packet on the line as the relay does.
  func send(inner: [UInt8], from source: IPv6Address? = nil, trafficClass: UInt8 = 0) throws {
    try send(
      Packet(from: source ?? tunnel.relay, to: tunnel.localAddress, trafficClass: trafficClass, payload: inner))
  }

  /// Puts an outer packet on the line in fragments of at most `size` bytes of payload, a multiple of 8.
  func send(inner: [UInt8], inFragmentsOf size: Int) throws {
    for offset in stride(from: 0, to: inner.count, by: size) {
      let part = inner[offset..<min(offset + size, inner.count)]
      let isLast = part.endIndex == inner.count
      let header = [4, 0] + words([UInt16(offset) | (isLast ? 0 : 1)]) + [0, 0, 0, 77]
      try send(Packet(from: tunnel.relay, to: tunnel.localAddress, nextHeader: 44, payload: header + part))
    }
  }

  /// A router on the way reports an error about `packet`.
  func sendError(type: UInt8, code: UInt8 = 0, value: UInt32 = 0, about packet: Packet) throws {
    let router = try IPv6Address("2001:db8:ffff::1")
    var message =
      [type, code, 0, 0] + words([UInt16(value >> 16), UInt16(value & 0xffff)]) + packet.bytes.prefix(1192)
    let pseudo = router.bytes + packet.source.bytes + words([0, UInt16(message.count), 0, 58])
    message.replaceSubrange(2..<4, with: words([internetChecksum(pseudo + message)]))
    try send(Packet(from: router, to: packet.source, nextHeader: 58, payload: message))
  }
}

/// An IPv4 socket of a host behind the softwire.
final class HostSocket {
  let descriptor: CInt

  init(type: __socket_type, protocolNumber: CInt = 0, port: UInt16 = 0, address: IPv4Address = Line.ipv4) throws {
    descriptor = socket(AF_INET, CInt(type.rawValue), protocolNumber)
    try #require(descriptor >= 0)
    var timeout = timeval(tv_sec: 5, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    let status = Self.withAddress(address, port) { bind(descriptor, $0, $1) }
    try #require(status == 0)
  }

  deinit {
    close(descriptor)
  }

  static func withAddress(
    _ address: IPv4Address, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt
  ) -> CInt {
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_port = port.bigEndian
    name.sin_addr.s_addr = address.bits.bigEndian
    return withUnsafePointer(to: &name) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
  }

  /// Connects; errno, or 0.
  func connect(to address: IPv4Address, _ port: UInt16) -> CInt {
    Self.withAddress(address, port) { Glibc.connect(descriptor, $0, $1) } == 0 ? 0 : errno
  }

  /// Sends; errno, or 0.
  func send(_ bytes: [UInt8]) -> CInt {
    Glibc.send(descriptor, bytes, bytes.count, 0) == bytes.count ? 0 : errno
  }

  /// Receives; nothing when five seconds are over or on an error.
  func receive(flags: CInt = 0) -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: 65536)
    let count = recv(descriptor, &buffer, buffer.count, flags)
    return count > 0 ? Array(buffer.prefix(count)) : nil
  }

  func set(_ level: Int32, _ option: Int32, _ value: CInt) {
    var value = value
    setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<CInt>.size))
  }

  func get(_ level: Int32, _ option: Int32) -> CInt {
    var value: CInt = -1
    var length = socklen_t(MemoryLayout<CInt>.size)
    getsockopt(descriptor, level, option, &value, &length)
    return value
  }
}

/// Keeps what a plugin says.
struct SilentLog: PluginLog {
  func debug(_ message: String) {}
  func info(_ message: String) {}
  func warning(_ message: String) {}
}

/// Waits up to five seconds until `condition` holds; what another thread does is not over when its effect is seen.
func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
  let deadline = ContinuousClock.now + .seconds(5)
  while ContinuousClock.now < deadline {
    if try condition() { return true }
    usleep(2000)
  }
  return try condition()
}
