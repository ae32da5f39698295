// SPDX-License-Identifier: GPL-3.0-or-later
//
// Tells that the ruleset changed, and nothing more: whoever hears it looks at the table again.

internal import CNFTNL
internal import Glibc

/// Listens for changes of the ruleset in the network namespace of the thread that made it. One's own are told too.
public final class NFTablesMonitor: Sendable {
  /// Becomes readable when ``drain()`` has something to do.
  public let descriptor: CInt

  /// No more datagrams than this are taken at a time, so that a flood cannot hold the caller.
  private static let datagramsPerDrain = 4096

  /// Joins the notifications.
  public init() throws(NFTablesError) {
    let type = SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
    let descriptor = socket(AF_NETLINK, CInt(bitPattern: type), NETLINK_NETFILTER)
    guard descriptor >= 0 else { throw NFTablesError("listening for changes of the ruleset", code: errno) }
    var address = sockaddr_nl()
    address.nl_family = sa_family_t(AF_NETLINK)
    address.nl_groups = 1 << (UInt32(NFNLGRP_NFTABLES.rawValue) - 1)
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_nl>.size))
      }
    }
    guard status == 0 else {
      let code = errno
      close(descriptor)
      throw NFTablesError("listening for changes of the ruleset", code: code)
    }
    self.descriptor = descriptor
  }

  deinit {
    close(descriptor)
  }

  /// Takes what is waiting, without ever blocking.
  /// - Returns: whether it is time to look again. Lost notifications count as one.
  public func drain() throws(NFTablesError) -> Bool {
    var hasNews = false
    var byte: UInt8 = 0
    for _ in 0..<Self.datagramsPerDrain {
      // The content does not matter; the rest of the datagram is let go.
      guard recv(descriptor, &byte, 1, 0) < 0 else {
        hasNews = true
        continue
      }
      switch errno {
      case EAGAIN: return hasNews
      case ENOBUFS: hasNews = true
      case EINTR: continue
      default: throw NFTablesError("taking notifications of the ruleset", code: errno)
      }
    }
    return true
  }
}
