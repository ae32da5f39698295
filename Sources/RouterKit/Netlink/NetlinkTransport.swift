// SPDX-License-Identifier: GPL-3.0-or-later
//
// The seam between the verbs and the kernel: datagrams go out and come in. Tests put a fake here and feed recorded or
// broken bytes.
//
// The real one talks to socket(2) itself and not through libmnl's mnl_socket: that one is a pointer to memory of its
// own, so nothing that holds it can be Sendable; a descriptor is just a number. libmnl's reader also takes datagrams from
// anybody, while this one takes them from the kernel only.

import CMNL
import Glibc

/// Sends and receives whole datagrams.
protocol NetlinkTransport: Sendable {
  /// Our address on the netlink bus; answers carry it.
  var port: UInt32 { get }
  func send(_ message: [UInt8]) throws(SystemCallError)
  /// The next datagram. Without `wait` the error is `EAGAIN` if there is none.
  func receive(wait: Bool) throws(SystemCallError) -> [UInt8]
}

/// A system call that failed.
struct SystemCallError: Error, Hashable {
  let code: CInt
}

/// A socket on the kernel's NETLINK_ROUTE bus, in the network namespace of the thread that opens it.
final class RouteSocket: NetlinkTransport {
  let descriptor: CInt
  let port: UInt32

  /// As large as the kernel makes a datagram (32 KiB for a dump), with room to spare.
  private static let datagramCapacity = 65_536
  /// The kernel answers at once; this only bounds the wait for an answer that got lost.
  private static let answerTimeout = timeval(tv_sec: 5, tv_usec: 0)

  /// Opens the socket.
  /// - Parameters:
  ///   - groups: the notifications to join, `RTNLGRP_…`.
  ///   - receiveBufferSize: SO_RCVBUF; nothing means the system's default.
  init(groups: [CUnsignedInt] = [], receiveBufferSize: CInt? = nil) throws(SystemCallError) {
    let descriptor = socket(AF_NETLINK, CInt(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), NETLINK_ROUTE)
    guard descriptor >= 0 else { throw SystemCallError(code: errno) }
    do throws(SystemCallError) {
      port = try Self.prepare(descriptor, groups: groups, receiveBufferSize: receiveBufferSize)
    } catch {
      close(descriptor)
      throw error
    }
    self.descriptor = descriptor
  }

  deinit {
    close(descriptor)
  }

  private static func prepare(
    _ descriptor: CInt, groups: [CUnsignedInt], receiveBufferSize: CInt?
  ) throws(SystemCallError) -> UInt32 {
    if let receiveBufferSize { try setOption(descriptor, SOL_SOCKET, SO_RCVBUF, receiveBufferSize) }
    try setOption(descriptor, SOL_SOCKET, SO_RCVTIMEO, answerTimeout)
    // Explanations with errors, errors without the request repeated, and dumps that the kernel filters for us.
    for option in [NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK] {
      try setOption(descriptor, SOL_NETLINK, option, CInt(1))
    }
    var address = sockaddr_nl()
    address.nl_family = sa_family_t(AF_NETLINK)
    var length = socklen_t(MemoryLayout<sockaddr_nl>.size)
    let status = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
        bind(descriptor, pointer, length) == 0 ? getsockname(descriptor, pointer, &length) : -1
      }
    }
    guard status == 0 else { throw SystemCallError(code: errno) }
    for group in groups {
      try setOption(descriptor, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
    }
    return address.nl_pid
  }

  private static func setOption<Value: BitwiseCopyable>(
    _ descriptor: CInt, _ level: CInt, _ option: CInt, _ value: Value
  ) throws(SystemCallError) {
    let status = withUnsafeBytes(of: value) {
      setsockopt(descriptor, level, option, $0.baseAddress, socklen_t($0.count))
    }
    guard status == 0 else { throw SystemCallError(code: errno) }
  }

  func send(_ message: [UInt8]) throws(SystemCallError) {
    var kernel = sockaddr_nl()
    kernel.nl_family = sa_family_t(AF_NETLINK)
    while true {
      let count = withUnsafePointer(to: &kernel) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          sendto(descriptor, message, message.count, 0, $0, socklen_t(MemoryLayout<sockaddr_nl>.size))
        }
      }
      if count == message.count { return }
      let code = count < 0 ? errno : EMSGSIZE
      guard code == EINTR else { throw SystemCallError(code: code) }
    }
  }

  func receive(wait: Bool) throws(SystemCallError) -> [UInt8] {
    while true {
      var sender = sockaddr_nl()
      var senderLength = socklen_t(MemoryLayout<sockaddr_nl>.size)
      var length = 0
      var code: CInt = 0
      let datagram = [UInt8](unsafeUninitializedCapacity: Self.datagramCapacity) { buffer, count in
        length = withUnsafeMutablePointer(to: &sender) { pointer in
          pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            // MSG_TRUNC: the true length is returned even if the buffer was too small.
            let flags = CInt(MSG_TRUNC) | (wait ? 0 : CInt(MSG_DONTWAIT))
            return recvfrom(descriptor, buffer.baseAddress, buffer.count, flags, $0, &senderLength)
          }
        }
        code = length < 0 ? errno : 0
        count = min(max(length, 0), buffer.count)
      }
      if code == EINTR { continue }
      guard code == 0 else { throw SystemCallError(code: code) }
      // Any process may send to our port; only port 0 is the kernel.
      guard sender.nl_pid == 0 else { continue }
      guard length <= Self.datagramCapacity else { throw SystemCallError(code: EMSGSIZE) }
      return datagram
    }
  }
}
