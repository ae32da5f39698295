// SPDX-License-Identifier: GPL-3.0-or-later
//
// The netlink socket below everything here: send a request, read the answer that belongs to it.
//
// Answers are told apart by sequence number. What is left over from a request that failed half way is skipped by the
// next one, and a kernel that says nothing is waited for at most ten seconds.

internal import CNFTNL
internal import Glibc

/// A netlink socket to netfilter. Not for use by several threads at a time.
final class NetfilterChannel {
  /// How an answer ended.
  enum Ending {
    case complete
    /// The kernel changed something while it listed it, or the socket's buffer overflowed: ask again.
    case interrupted
  }

  private static let receiveBufferSize = 1 << 16
  private static let answerTimeout = timeval(tv_sec: 10, tv_usec: 0)

  private let socket: OpaquePointer
  private var descriptor: Int32 { mnl_socket_get_fd(socket) }
  private var sequence: UInt32 = 0

  init() throws(NFTablesError) {
    let action = "opening a netlink socket to netfilter"
    guard let socket = mnl_socket_open2(NETLINK_NETFILTER, Int32(SOCK_CLOEXEC.rawValue)) else {
      throw NFTablesError(action, code: errno)
    }
    guard mnl_socket_bind(socket, 0, pid_t(MNL_SOCKET_AUTOPID)) == 0 else {
      let code = errno
      mnl_socket_close(socket)
      throw NFTablesError(action, code: code)
    }
    self.socket = socket
    // A whole transaction is one message of the socket, and the errors of all its steps come at once.
    setOption(SOL_SOCKET, SO_RCVBUFFORCE, Int32(1 << 20))
    setOption(SOL_SOCKET, SO_RCVTIMEO, Self.answerTimeout)
    // Errors with words, and without a copy of the message that they are about.
    setOption(SOL_NETLINK, NETLINK_EXT_ACK, Int32(1))
    setOption(SOL_NETLINK, NETLINK_CAP_ACK, Int32(1))
  }

  deinit {
    mnl_socket_close(socket)
  }

  /// Reserves `count` sequence numbers in a row and returns the first.
  func reserveSequence(_ count: UInt32 = 1) -> UInt32 {
    let first = sequence &+ 1
    sequence = sequence &+ count
    return first
  }

  /// Sends one request and hands every message of the answer to `handle`.
  func request(
    _ action: String, _ message: [UInt8], sequence: UInt32,
    handle: (UnsafePointer<nlmsghdr>) throws(NFTablesError) -> Void
  ) throws(NFTablesError) -> Ending {
    try send(action, message)
    var ending: Ending?
    var wasInterrupted = false
    while ending == nil {
      do throws(NFTablesError) {
        try receive(action) { (header) throws(NFTablesError) in
          guard header.pointee.nlmsg_seq == sequence, ending == nil else { return }
          if header.pointee.nlmsg_flags & UInt16(NLM_F_DUMP_INTR) != 0 { wasInterrupted = true }
          switch Int32(header.pointee.nlmsg_type) {
          case NLMSG_DONE:
            ending = .complete
          case NLMSG_ERROR:
            let answer = Acknowledgement(header)
            // A listing that met a change may end in an error instead of a mark.
            guard answer.code != EINTR else {
              ending = .interrupted
              return
            }
            guard answer.code == 0 else { throw NFTablesError(action, code: answer.code, detail: answer.words) }
            ending = .complete
          default:
            try handle(header)
          }
        }
      } catch  where error.code == ENOBUFS {
        wasInterrupted = true
      }
    }
    return wasInterrupted ? .interrupted : ending ?? .interrupted
  }

  /// Sends a transaction, whose last step asks for an acknowledgement, and throws the first error that any step got. The
  /// kernel reports a commit that failed (under the number of the begin mark) before it acknowledges steps.
  func transact(_ transaction: consuming Transaction) throws(NFTablesError) {
    transaction.firstSequence = reserveSequence(transaction.length)
    let transaction = transaction
    let bytes = transaction.bytes
    // The default limit of the socket is less than a table with many ports needs.
    setOption(SOL_SOCKET, SO_SNDBUFFORCE, Int32(clamping: bytes.count + 4096))
    try send("changing the ruleset", bytes)
    var failure: NFTablesError?
    var isAcknowledged = false
    while failure == nil && !isAcknowledged {
      try receive("changing the ruleset") { header in
        guard let action = transaction.action(sequence: header.pointee.nlmsg_seq),
          Int32(header.pointee.nlmsg_type) == NLMSG_ERROR
        else { return }
        let answer = Acknowledgement(header)
        if answer.code != 0, failure == nil {
          failure = NFTablesError(action, code: answer.code, detail: answer.words)
        }
        if header.pointee.nlmsg_seq == transaction.lastStep { isAcknowledged = true }
      }
    }
    if let failure { throw failure }
  }

  private func send(_ action: String, _ message: [UInt8]) throws(NFTablesError) {
    while true {
      let sent = message.withUnsafeBytes { mnl_socket_sendto(socket, $0.baseAddress, $0.count) }
      if sent == message.count { return }
      guard sent < 0, errno == EINTR else {
        throw NFTablesError(action, code: sent < 0 ? errno : EMSGSIZE)
      }
    }
  }

  /// Reads one datagram of the kernel and hands its messages to `handle`.
  private func receive(
    _ action: String, flags: Int32 = 0, handle: (UnsafePointer<nlmsghdr>) throws(NFTablesError) -> Void
  ) throws(NFTablesError) {
    try withAlignedBuffer(Self.receiveBufferSize) { (buffer) throws(NFTablesError) in
      var sender = sockaddr_nl()
      var count: Int
      repeat {
        var senderLength = socklen_t(MemoryLayout<sockaddr_nl>.size)
        count = withUnsafeMutablePointer(to: &sender) { sender in
          sender.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            recvfrom(descriptor, buffer.baseAddress, buffer.count, flags | Int32(MSG_TRUNC), $0, &senderLength)
          }
        }
      } while count < 0 && errno == EINTR
      guard count >= 0 else {
        let isTimeout = errno == EAGAIN && flags == 0
        throw NFTablesError(action, code: isTimeout ? ETIMEDOUT : errno)
      }
      guard count <= buffer.count else { throw NFTablesError(action, code: EMSGSIZE) }
      // Only the kernel is 0; other processes may send to this socket too.
      guard sender.nl_pid == 0, let start = buffer.baseAddress else { return }
      var remaining = Int32(count)
      var header = UnsafePointer(start.assumingMemoryBound(to: nlmsghdr.self))
      while mnl_nlmsg_ok(header, remaining) {
        try handle(header)
        guard let next = mnl_nlmsg_next(header, &remaining) else { return }
        header = UnsafePointer(next)
      }
    }
  }

  private func setOption<Value>(_ level: Int32, _ name: Int32, _ value: Value) {
    withUnsafeBytes(of: value) {
      _ = setsockopt(descriptor, level, name, $0.baseAddress, socklen_t($0.count))
    }
  }
}

/// What NLMSG_ERROR says.
private struct Acknowledgement {
  /// The error, or 0.
  let code: Int32
  /// The kernel's words about it.
  var words: String?

  init(_ header: UnsafePointer<nlmsghdr>) {
    let payload = Int(mnl_nlmsg_get_payload_len(header))
    guard payload >= MemoryLayout<nlmsgerr>.size, let start = mnl_nlmsg_get_payload(header) else {
      code = EBADMSG
      return
    }
    code = -start.assumingMemoryBound(to: nlmsgerr.self).pointee.error
    // The words come after the header of the message in question, whose body NETLINK_CAP_ACK leaves out.
    guard header.pointee.nlmsg_flags & UInt16(NLM_F_ACK_TLVS) != 0,
      header.pointee.nlmsg_flags & UInt16(NLM_F_CAPPED) != 0
    else { return }
    var remaining = Int32(payload - MemoryLayout<nlmsgerr>.size)
    var attribute = UnsafePointer(
      (start + MemoryLayout<nlmsgerr>.size).assumingMemoryBound(to: nlattr.self))
    while mnl_attr_ok(attribute, remaining) {
      let length = Int(mnl_attr_get_payload_len(attribute))
      if Int(mnl_attr_get_type(attribute)) == Int(NLMSGERR_ATTR_MSG.rawValue),
        let text = mnl_attr_get_payload(attribute)
      {
        words = String(
          decoding: UnsafeRawBufferPointer(start: text, count: length).prefix { $0 != 0 }, as: UTF8.self)
      }
      remaining -= Int32((Int(attribute.pointee.nla_len) + 3) & ~3)
      guard let next = mnl_attr_next(attribute) else { return }
      attribute = UnsafePointer(next)
    }
  }
}

/// Lends a buffer that netlink headers may lie in.
func withAlignedBuffer<Result>(
  _ size: Int, _ body: (UnsafeMutableRawBufferPointer) throws(NFTablesError) -> Result
) throws(NFTablesError) -> Result {
  let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 8)
  defer { buffer.deallocate() }
  buffer.initializeMemory(as: UInt8.self, repeating: 0)
  return try body(buffer)
}
