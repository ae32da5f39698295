// SPDX-License-Identifier: GPL-3.0-or-later
//
// Requests to the kernel's routing family and their answers.
//
// Each request has a number of its own and ends with an acknowledgement; a list (a dump) ends with NLMSG_DONE. Answers to
// older requests, which can be left over after an error, are recognised by their number and dropped. While a list is
// handed out the kernel's objects can change; it then says so (NLM_F_DUMP_INTR) and the list is asked for again, since
// half of an old state and half of a new one would look like a change that never was.

import CMNL
import Glibc

/// A connection to the kernel for links, addresses and routes, in the network namespace of the thread that made it.
///
/// Requests are answered at once, so the verbs simply block. It cannot be copied and every verb is `mutating`, so that
/// only one request is under way at a time; keep it in an actor or a `Mutex`, or make one for each pass of work.
public struct NetlinkSocket: ~Copyable, Sendable {
  private let transport: any NetlinkTransport
  private var sequence: UInt32 = 0

  /// How often a list is asked for before the caller hears that it does not hold still.
  private static let dumpAttempts = 8

  /// Opens a connection.
  /// - Throws: ``NetlinkError`` if the system has no socket for us.
  public init() throws(NetlinkError) {
    do {
      transport = try RouteSocket()
    } catch {
      throw NetlinkError(operation: "open a netlink socket", code: error.code)
    }
  }

  /// Takes another transport, which is how tests feed it answers.
  init(transport: any NetlinkTransport) {
    self.transport = transport
  }

  /// Sends a request and returns what the kernel says before its acknowledgement.
  @discardableResult
  mutating func request(_ request: borrowing MessageWriter, operation: String) throws(NetlinkError) -> [Message] {
    try transact(request, operation: operation).messages
  }

  /// Asks for a list that holds together. The request has the flag `NLM_F_DUMP`.
  mutating func dump(_ request: borrowing MessageWriter, operation: String) throws(NetlinkError) -> [Message] {
    for _ in 0..<Self.dumpAttempts {
      do throws(NetlinkError) {
        let answer = try transact(request, operation: operation)
        if !answer.isInterrupted { return answer.messages }
      } catch {
        guard error.code == EINTR else { throw error }
      }
    }
    throw NetlinkError(operation: operation, code: EINTR)
  }

  private mutating func transact(
    _ request: borrowing MessageWriter, operation: String
  ) throws(NetlinkError) -> (messages: [Message], isInterrupted: Bool) {
    sequence &+= 1
    guard let bytes = request.bytes(sequence: sequence, port: transport.port) else {
      throw NetlinkError(operation: operation, code: EMSGSIZE)
    }
    var answer: [Message] = []
    var isInterrupted = false
    do {
      try transport.send(bytes)
    } catch {
      throw NetlinkError(operation: operation, code: error.code)
    }
    while true {
      for message in try receive(operation: operation)
      where message.sequence == sequence && message.port == transport.port {
        isInterrupted = isInterrupted || message.has(NLM_F_DUMP_INTR)
        switch Int32(message.type) {
        case NLMSG_ERROR, NLMSG_DONE:
          let verdict = Verdict(message)
          guard verdict.code == 0 else {
            throw NetlinkError(operation: operation, code: verdict.code, kernelMessage: verdict.text)
          }
          return (answer, isInterrupted)
        case NLMSG_NOOP:
          break
        default:
          answer.append(message)
        }
      }
    }
  }

  private func receive(operation: String) throws(NetlinkError) -> [Message] {
    let datagram: [UInt8]
    do {
      datagram = try transport.receive(wait: true)
    } catch {
      // EAGAIN is the kernel not answering in time.
      throw NetlinkError(operation: operation, code: error.code == EAGAIN ? ETIMEDOUT : error.code)
    }
    guard let messages = Message.messages(in: datagram), !messages.isEmpty else {
      throw NetlinkError(operation: operation, code: EBADMSG)
    }
    return messages
  }
}

/// How a request ended: the payload of NLMSG_ERROR (zero is success) or NLMSG_DONE.
private struct Verdict {
  let code: CInt
  let text: String?

  init(_ message: Message) {
    guard let result = message.payload.load(Int32.self) else {
      // A list may end without a number; an acknowledgement may not.
      code = Int32(message.type) == NLMSG_DONE ? 0 : EBADMSG
      text = nil
      return
    }
    code = 0 &- min(result, 0)
    guard message.has(NLM_F_ACK_TLVS) else {
      text = nil
      return
    }
    var attributes = message.payload.dropFirst(MemoryLayout<Int32>.size)
    if Int32(message.type) == NLMSG_ERROR {
      // The header of the request comes back, and its body too unless the kernel agreed to leave that out.
      let request = attributes.load(nlmsghdr.self)
      let length = message.has(NLM_F_CAPPED) ? MemoryLayout<nlmsghdr>.size : Int(request?.nlmsg_len ?? 0)
      attributes = attributes.dropFirst((length + 3) & ~3)
    }
    text = Attributes(attributes).text(Int(NLMSGERR_ATTR_MSG.rawValue))
  }
}

/// What becomes of an object that is there already when it is to be added.
public enum ExistingObject: Hashable, Sendable {
  /// It stays, and the request fails with `EEXIST`.
  case fail
  /// It becomes what was asked for, in one step. An object of somebody else is taken over too.
  case replace

  var flags: CInt {
    switch self {
    case .fail: NLM_F_CREATE | NLM_F_EXCL
    case .replace: NLM_F_CREATE | NLM_F_REPLACE
    }
  }
}
