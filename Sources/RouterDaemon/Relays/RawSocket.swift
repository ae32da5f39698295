// SPDX-License-Identifier: GPL-3.0-or-later
//
// The sockets that relays are asked through: raw, bound to the softwire's own end. They need neither tunnel device nor
// NAT nor a particular dataplane, and can therefore ask a relay that carries no traffic. The kernel hands a copy of every
// packet of their protocol to them; a filter in the kernel lets only echo replies with our identifier through.

import CLinux
import Glibc
import RouterKit

struct RawSocket: ~Copyable, Sendable {
  let descriptor: CInt

  /// For inner probes: IPv4 in IPv6.
  /// - Parameters:
  ///   - localAddress: the CE or B4 address, which must be usable.
  ///   - identifier: the ICMP identifier of the replies that are wanted.
  static func innerProbes(localAddress: IPv6Address, identifier: UInt16) throws(FileError) -> RawSocket {
    // Behind the IPv6 header: protocol ICMP; without IPv4 options, type echo reply and the identifier.
    try RawSocket(
      CInt(IPPROTO_IPIP), localAddress,
      filter: Filter([
        Filter.Condition(size: .byte, offset: 9, equals: 1), Filter.Condition(size: .byte, offset: 20, equals: 0),
        Filter.Condition(size: .half, offset: 24, equals: UInt32(identifier)),
      ]))
  }

  /// For echo requests to the relays themselves; the kernel fills in the checksum of what is sent.
  /// - Parameters:
  ///   - localAddress: the CE or B4 address, which must be usable.
  ///   - identifier: the ICMPv6 identifier of the replies that are wanted.
  static func outerEchoes(localAddress: IPv6Address, identifier: UInt16) throws(FileError) -> RawSocket {
    try RawSocket(
      CInt(IPPROTO_ICMPV6), localAddress,
      filter: Filter([
        Filter.Condition(size: .byte, offset: 0, equals: 129),
        Filter.Condition(size: .half, offset: 4, equals: UInt32(identifier)),
      ]))
  }

  private init(_ protocol: CInt, _ localAddress: IPv6Address, filter: Filter) throws(FileError) {
    let type = SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
    let descriptor = socket(AF_INET6, CInt(bitPattern: type), `protocol`)
    guard descriptor >= 0 else { throw FileError("open", "a raw socket for probes", code: errno) }
    do throws(FileError) {
      try filter.attach(to: descriptor)
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

  /// Sends a packet to a relay. What cannot be sent is lost, as a packet may be; silence is what counts.
  func send(_ packet: [UInt8], to relay: IPv6Address) {
    _ = Self.withAddress(relay) { address, length in
      CInt(truncatingIfNeeded: sendto(descriptor, packet, packet.count, CInt(MSG_NOSIGNAL), address, length))
    }
  }

  /// The next packet that is waiting, without its IPv6 header, and the relay that it came from.
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
}

/// A program of classic BPF that takes the packets which meet all conditions, and no others.
private struct Filter {
  /// One value that a packet must have.
  struct Condition {
    /// The code of the instruction that loads it.
    enum Size: UInt16 {
      case byte = 0x30
      case half = 0x28
    }

    let size: Size
    /// In bytes behind the IPv6 header.
    let offset: UInt32
    let equals: UInt32
  }

  private let program: [sock_filter]

  init(_ conditions: [Condition]) {
    let jumpIfEqual: UInt16 = 0x15
    let give: UInt16 = 0x06
    var program: [sock_filter] = []
    for (number, condition) in conditions.enumerated() {
      // Past the conditions that are left, two instructions each, and past taking the packet.
      let toRefusal = UInt8(2 * (conditions.count - 1 - number) + 1)
      program.append(sock_filter(code: condition.size.rawValue, jt: 0, jf: 0, k: condition.offset))
      program.append(sock_filter(code: jumpIfEqual, jt: 0, jf: toRefusal, k: condition.equals))
    }
    program.append(sock_filter(code: give, jt: 0, jf: 0, k: 128))
    program.append(sock_filter(code: give, jt: 0, jf: 0, k: 0))
    self.program = program
  }

  func attach(to descriptor: CInt) throws(FileError) {
    var program = program
    let status = program.withUnsafeMutableBufferPointer { program in
      var filter = sock_fprog(len: UInt16(program.count), filter: program.baseAddress)
      return setsockopt(
        descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &filter, socklen_t(MemoryLayout<sock_fprog>.size))
    }
    guard status == 0 else { throw FileError("filter", "a raw socket for probes", code: errno) }
  }
}
