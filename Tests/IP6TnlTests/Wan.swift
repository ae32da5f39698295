// SPDX-License-Identifier: GPL-3.0-or-later
//
// A line in one namespace: its "wan0" is a TUN device whose other end is the test.
//
//   socket of the test ── kernel ── softwire0, softwire1 ── kernel ── wan0 ── the test as ISP

import Glibc
import Netlink
import RouterKit
import Testing

/// The ISP's end of a line.
final class Wan {
  /// An IPv6 packet.
  struct Packet: Hashable {
    var trafficClass: UInt8 = 0
    var nextHeader: UInt8 = 4
    var hopLimit: UInt8 = 64
    var source: IPv6Address
    var destination: IPv6Address
    var payload: [UInt8]
  }

  private let descriptor: CInt
  private let spec: TunnelSpec

  /// Makes wan0 with the softwire's local address and the IPv6 default route.
  init(_ spec: TunnelSpec) throws {
    self.spec = spec
    descriptor = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)
    // struct ifreq: the name, then the flags IFF_TUN | IFF_NO_PI.
    var request = [UInt8](repeating: 0, count: 40)
    request.replaceSubrange(0..<4, with: "wan0".utf8)
    request.replaceSubrange(16..<18, with: [0x01, 0x10])
    let tunSetInterface: UInt = 0x4004_54ca
    try #require(ioctl(descriptor, tunSetInterface, &request) == 0)
    var netlink = try NetlinkSocket()
    let wan = try #require(try netlink.link(named: "wan0"))
    try netlink.setLink(wan.index, up: true, mtu: 1500)
    try addAddress(spec.localAddress)
    try netlink.addRoute(Route(destination: try IPv6Prefix("::/0"), interfaceIndex: wan.index), ifExists: .fail)
  }

  deinit {
    close(descriptor)
  }

  func addAddress(_ address: IPv6Address) throws {
    var netlink = try NetlinkSocket()
    let wan = try #require(try netlink.link(named: "wan0"))
    try netlink.addAddress(
      InterfaceAddress(interfaceIndex: wan.index, address: address, flags: [.noDuplicateDetection]), ifExists: .fail)
  }

  /// What the daemon does behind the dataplane.
  func configureIPv4(_ names: [String]) throws {
    var netlink = try NetlinkSocket()
    let address = try #require(spec.innerAddress)
    for (position, name) in names.enumerated() {
      let device = try #require(try netlink.link(named: name))
      try netlink.setIPv4Settings(device.index, [.reversePathFilter: 2])
      try netlink.addAddress(InterfaceAddress(interfaceIndex: device.index, address: address), ifExists: .fail)
      guard position == 0 else { continue }
      try netlink.addRoute(
        Route(destination: try IPv4Prefix("0.0.0.0/0"), interfaceIndex: device.index, preferredSource: address),
        ifExists: .replace)
    }
  }

  /// The next packet with IPv4 in it, extension headers or not.
  func receive() throws -> Packet? {
    let deadline = ContinuousClock.now + .seconds(5)
    var buffer = [UInt8](repeating: 0, count: 65536)
    while ContinuousClock.now < deadline {
      let count = read(descriptor, &buffer, buffer.count)
      if count >= 40, buffer[0] >> 4 == 6, buffer[6] != 58, buffer[6] != 0 {
        return Packet(
          trafficClass: buffer[0] << 4 | buffer[1] >> 4, nextHeader: buffer[6], hopLimit: buffer[7],
          source: try #require(IPv6Address(bytes: buffer[8..<24])),
          destination: try #require(IPv6Address(bytes: buffer[24..<40])), payload: Array(buffer[40..<count]))
      }
      if count < 0 {
        var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        poll(&poller, 1, 20)
      }
    }
    return nil
  }

  func send(_ packet: Packet) throws {
    let bytes =
      [0x60 | packet.trafficClass >> 4, packet.trafficClass << 4, 0, 0] + words([UInt16(packet.payload.count)])
      + [packet.nextHeader, packet.hopLimit] + packet.source.bytes + packet.destination.bytes + packet.payload
    try #require(write(descriptor, bytes, bytes.count) == bytes.count)
  }

  /// Puts a datagram for `socket` on the line, from port 7 of its peer.
  func send(_ data: [UInt8], to socket: PeerSocket, from relay: IPv6Address) throws {
    let udp = words([7, socket.port, UInt16(8 + data.count), 0]) + data
    let inner = try #require(spec.innerAddress)
    var header: [UInt8] = [0x45, 0] + words([UInt16(20 + udp.count), 0, 0]) + [64, 17, 0, 0]
    header += PeerSocket.peer.bytes + inner.bytes
    header.replaceSubrange(10..<12, with: words([checksum(header)]))
    try send(Packet(source: relay, destination: spec.localAddress, payload: header + udp))
  }

  /// Tells the router that `packet` was larger than `mtu` somewhere on the way.
  func sendTooBig(_ mtu: UInt16, about packet: Packet) throws {
    let quoted =
      [0x60, 0, 0, 0] + words([UInt16(packet.payload.count)]) + [packet.nextHeader, packet.hopLimit]
      + packet.source.bytes + packet.destination.bytes + packet.payload.prefix(1100)
    var message: [UInt8] = [2, 0, 0, 0, 0, 0] + words([mtu]) + quoted
    let hop = try IPv6Address("2001:db8::1")
    let pseudo = hop.bytes + packet.source.bytes + words([0, UInt16(message.count), 0, 58])
    message.replaceSubrange(2..<4, with: words([checksum(pseudo + message)]))
    try send(Packet(nextHeader: 58, source: hop, destination: packet.source, payload: message))
  }
}

/// A UDP socket with a peer somewhere on the IPv4 internet.
final class PeerSocket {
  static let peer = IPv4Address(198, 51, 100, 1)
  let port: UInt16 = 5136
  private let descriptor: CInt

  init(forbidsFragmenting: Bool = false, typeOfService: CInt = 0) throws {
    descriptor = socket(AF_INET, CInt(SOCK_DGRAM.rawValue), 0)
    var timeout = timeval(tv_sec: 0, tv_usec: 700_000)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    var discovery: CInt = forbidsFragmenting ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT
    setsockopt(descriptor, CInt(IPPROTO_IP), IP_MTU_DISCOVER, &discovery, socklen_t(MemoryLayout<CInt>.size))
    var typeOfService = typeOfService
    setsockopt(descriptor, CInt(IPPROTO_IP), IP_TOS, &typeOfService, socklen_t(MemoryLayout<CInt>.size))
    try #require(Self.call(bind, descriptor, IPv4Address(bits: 0), port) == 0)
    try #require(Self.call(connect, descriptor, Self.peer, 7) == 0)
  }

  deinit {
    close(descriptor)
  }

  private static func call(
    _ body: (CInt, UnsafePointer<sockaddr>, socklen_t) -> CInt, _ descriptor: CInt, _ address: IPv4Address,
    _ port: UInt16
  ) -> CInt {
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_port = port.bigEndian
    name.sin_addr.s_addr = address.bits.bigEndian
    return withUnsafePointer(to: name) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }

  /// Sends a datagram; zero or the errno.
  func send(_ count: Int) -> CInt {
    Glibc.send(descriptor, [UInt8](repeating: 0x5a, count: count), count, 0) == count ? 0 : errno
  }

  /// The next datagram, if it comes soon.
  func receive() -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: 2048)
    let count = recv(descriptor, &buffer, buffer.count, 0)
    return count < 0 ? nil : Array(buffer.prefix(count))
  }

  /// What the kernel takes the path to the peer to carry.
  var pathMTU: CInt {
    var mtu: CInt = 0
    var length = socklen_t(MemoryLayout<CInt>.size)
    getsockopt(descriptor, CInt(IPPROTO_IP), IP_MTU, &mtu, &length)
    return mtu
  }
}

func words(_ values: [UInt16]) -> [UInt8] {
  values.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xff)] }
}

private func checksum(_ bytes: [UInt8]) -> UInt16 {
  var sum = stride(from: 0, to: bytes.count, by: 2).reduce(UInt32(0)) { sum, index in
    sum + UInt32(bytes[index]) << 8 + (index + 1 < bytes.count ? UInt32(bytes[index + 1]) : 0)
  }
  while sum > 0xffff { sum = sum >> 16 + sum & 0xffff }
  return ~UInt16(sum)
}
