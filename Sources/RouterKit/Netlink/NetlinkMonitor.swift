// SPDX-License-Identifier: GPL-3.0-or-later
//
// Tells that links, their IPv4 settings, addresses or routes changed, and nothing more: whoever hears it looks at the
// kernel again. That makes lost notifications harmless, as long as the loss itself is told, which is what ENOBUFS is.

import CMNL
import Glibc

/// Listens for changes of links, addresses and routes in the network namespace of the thread that made it.
///
/// Join first, look at the kernel after that: a change in between is then never missed. One's own changes are told too.
public final class NetlinkMonitor: Sendable {
  private let socket: RouteSocket

  /// No more datagrams than this are taken at a time, so that a flood cannot hold the caller.
  private static let datagramsPerDrain = 4096

  /// Joins the notifications.
  /// - Parameter receiveBufferSize: the size of the kernel's queue in bytes; nothing means the system's default.
  public init(receiveBufferSize: Int? = nil) throws(NetlinkError) {
    let groups = [
      RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_IFADDR,
      RTNLGRP_IPV6_ROUTE,
    ]
    do {
      socket = try RouteSocket(
        groups: groups.map(\.rawValue), receiveBufferSize: receiveBufferSize.map { CInt(clamping: $0) })
    } catch {
      throw NetlinkError(operation: "listen for changes of links, addresses and routes", code: error.code)
    }
  }

  /// Becomes readable when ``drain()`` has something to do; for use in a poll of the caller's own.
  public var descriptor: CInt {
    socket.descriptor
  }

  /// Takes what is waiting, without ever blocking.
  /// - Returns: whether it is time to look again.
  public func drain() throws(NetlinkError) -> Bool {
    var hasNews = false
    for _ in 0..<Self.datagramsPerDrain {
      do throws(SystemCallError) {
        // What cannot be understood may have been anything.
        let messages = Message.messages(in: try socket.receive(wait: false))
        hasNews = hasNews || (messages?.contains { Self.isNews($0) } ?? true)
      } catch {
        switch error.code {
        case EAGAIN: return hasNews
        case ENOBUFS, EMSGSIZE: hasNews = true
        default: throw NetlinkError(operation: "take notifications of the kernel", code: error.code)
        }
      }
    }
    return true
  }

  /// Blocks until something arrives or the time is over (or, rarely, a signal comes), then drains.
  /// - Parameter timeout: nothing means no end.
  /// - Returns: whether it is time to look again.
  public func wait(timeout: Duration?) throws(NetlinkError) -> Bool {
    var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    let status = Glibc.poll(&poll, 1, timeout.map { Self.milliseconds($0) } ?? -1)
    guard status >= 0 || errno == EINTR else {
      throw NetlinkError(operation: "wait for notifications of the kernel", code: errno)
    }
    return try drain()
  }

  /// Rounded up, so that a short time does not become a busy loop.
  private static func milliseconds(_ duration: Duration) -> CInt {
    let (seconds, attoseconds) = duration.components
    guard seconds >= 0, attoseconds >= 0 else { return 0 }
    guard seconds < 1_000_000 else { return 1_000_000_000 }
    return CInt(clamping: seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
  }

  private static func isNews(_ message: Message) -> Bool {
    switch Int(message.type) {
    case RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_DELADDR, RTM_NEWROUTE, RTM_DELROUTE, RTM_NEWNETCONF,
      RTM_DELNETCONF, Int(NLMSG_OVERRUN):
      true
    default:
      false
    }
  }
}
