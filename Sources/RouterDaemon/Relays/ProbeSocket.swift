// SPDX-License-Identifier: GPL-3.0-or-later
//
// The socket of the probes: raw, IPv4-in-IPv6, bound to the softwire's own end. It needs neither tunnel device nor NAT nor
// a particular dataplane, and can therefore ask a relay that carries no traffic. The kernel hands a copy of every
// packet from the relays to it; a filter in the kernel lets only echo replies with the probe's identifier through.

import CLinux
import Glibc
import RouterKit

struct ProbeSocket: ~Copyable, Sendable {
  let descriptor: CInt

  /// - Parameters:
  ///   - localAddress: the CE or B4 address, which must be usable.
  ///   - identifier: the ICMP identifier of the replies that are wanted.
  init(localAddress: IPv6Address, identifier: UInt16) throws(FileError) {
    let type = SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
    let descriptor = socket(AF_INET6, CInt(bitPattern: type), CInt(IPPROTO_IPIP))
    guard descriptor >= 0 else { throw FileError("open", "a raw socket for probes", code: errno) }
    do throws(FileError) {
      try Self.attachFilter(descriptor, identifier)
      guard Self.withAddress(localAddress, { bind(descriptor, $0, $1) }) == 0 else {
        throw FileError("bind a raw socket to", localAddress.description, code: errno)
      }
    } catch {
      close(descriptor)
      throw error
    }
    self.descriptor = descriptor
  }

  deinit {
    close(descriptor)
  }

  /// Sends an inner packet to a relay. What cannot be sent is lost, as a packet may be; silence is what counts.
  func send(_ packet: [UInt8], to relay: IPv6Address) {
    _ = Self.withAddress(relay) { address, length in
      CInt(truncatingIfNeeded: sendto(descriptor, packet, packet.count, CInt(MSG_NOSIGNAL), address, length))
    }
  }

  /// The next packet that is waiting, and the relay that it came from.
  func receive() -> (packet: [UInt8], relay: IPv6Address)? {
    var address = sockaddr_in6()
    var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
    var buffer = [UInt8](repeating: 0, count: 128)
    let count = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        recvfrom(descriptor, &buffer, buffer.count, 0, $0, &length)
      }
    }
    guard count > 0 else { return nil }
    guard let relay = withUnsafeBytes(of: address.sin6_addr, { IPv6Address(bytes: Array($0)) }) else { return nil }
    return (Array(buffer[..<count]), relay)
  }

  private static func withAddress(
    _ address: IPv6Address, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt
  ) -> CInt {
    var socketAddress = sockaddr_in6()
    socketAddress.sin6_family = sa_family_t(AF_INET6)
    withUnsafeMutableBytes(of: &socketAddress.sin6_addr) { $0.copyBytes(from: address.bytes) }
    return withUnsafePointer(to: &socketAddress) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in6>.size)) }
    }
  }

  /// Classic BPF over the packet behind the IPv6 header: protocol ICMP, type echo reply, our identifier; else nothing.
  private static func attachFilter(_ descriptor: CInt, _ identifier: UInt16) throws(FileError) {
    let load8: UInt16 = 0x30
    let load16: UInt16 = 0x28
    let jumpIfEqual: UInt16 = 0x15
    let give: UInt16 = 0x06
    var program = [
      sock_filter(code: load8, jt: 0, jf: 0, k: 9), sock_filter(code: jumpIfEqual, jt: 0, jf: 5, k: 1),
      sock_filter(code: load8, jt: 0, jf: 0, k: 20), sock_filter(code: jumpIfEqual, jt: 0, jf: 3, k: 0),
      sock_filter(code: load16, jt: 0, jf: 0, k: 24),
      sock_filter(code: jumpIfEqual, jt: 0, jf: 1, k: UInt32(identifier)),
      sock_filter(code: give, jt: 0, jf: 0, k: 128), sock_filter(code: give, jt: 0, jf: 0, k: 0),
    ]
    let status = program.withUnsafeMutableBufferPointer { program in
      var filter = sock_fprog(len: UInt16(program.count), filter: program.baseAddress)
      return setsockopt(
        descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &filter, socklen_t(MemoryLayout<sock_fprog>.size))
    }
    guard status == 0 else { throw FileError("filter", "a raw socket for probes", code: errno) }
  }
}
