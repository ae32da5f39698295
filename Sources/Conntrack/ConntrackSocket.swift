// SPDX-License-Identifier: GPL-3.0-or-later
//
// Connections that were translated to an address which is no longer ours must go: their packets would leave with the
// old address or with ports of the old set. libnetfilter_conntrack lists and deletes them.

internal import CConntrack
internal import Glibc
public import RouterKit

/// A connection to the kernel's connection tracking in the network namespace of the thread that made it. Needs
/// CAP_NET_ADMIN; calls block, for milliseconds to seconds by the number of connections.
public struct ConntrackSocket: ~Copyable {
  private let handle: OpaquePointer

  /// Opens the connection.
  public init() throws(ConntrackError) {
    guard let handle = nfct_open(UInt8(NFNL_SUBSYS_CTNETLINK), 0) else {
      throw ConntrackError("opening a netlink socket to connection tracking", code: errno)
    }
    // No child inherits it.
    _ = fcntl(nfct_fd(handle), F_SETFD, FD_CLOEXEC)
    self.handle = handle
  }

  deinit {
    nfct_close(handle)
  }

  /// Deletes the IPv4 connections whose answers come back to `address`, that is those whose source was translated to
  /// it or that were opened from it. All others stay.
  /// - Returns: how many were deleted.
  @discardableResult
  public func deleteEntries(translatedTo address: IPv4Address) throws(ConntrackError) -> Int {
    let matches = try entries(translatedTo: address)
    var deleted = 0
    for entry in matches.entries where try delete(entry, of: address) { deleted += 1 }
    return deleted
  }

  /// Deletes the entry; false if it ended by itself meanwhile.
  private func delete(_ entry: OpaquePointer, of address: IPv4Address) throws(ConntrackError) -> Bool {
    while nfct_query(handle, NFCT_Q_DESTROY, UnsafeRawPointer(entry)) != 0 {
      switch errno {
      case EINTR: continue
      case ENOENT: return false
      case let code: throw ConntrackError("deleting a connection translated to \(address)", code: code)
      }
    }
    return true
  }

  private func entries(translatedTo address: IPv4Address) throws(ConntrackError) -> Matches {
    let matches = Matches(address: address)
    nfct_callback_register(
      handle, NFCT_T_ALL,
      { _, entry, context in
        if let entry, let context { Unmanaged<Matches>.fromOpaque(context).takeUnretainedValue().consider(entry) }
        return Int32(NFCT_CB_CONTINUE)
      }, Unmanaged.passUnretained(matches).toOpaque())
    defer { nfct_callback_unregister(handle) }
    var family = UInt32(AF_INET)
    while nfct_query(handle, NFCT_Q_DUMP, &family) != 0 {
      guard errno == EINTR else { throw ConntrackError("listing the connections", code: errno) }
    }
    return matches
  }
}

/// Copies of the listed entries that are meant.
private final class Matches {
  private let address: UInt32
  private(set) var entries: [OpaquePointer] = []

  init(address: IPv4Address) {
    self.address = address.bits.bigEndian
  }

  deinit {
    for entry in entries { nfct_destroy(entry) }
  }

  func consider(_ entry: OpaquePointer) {
    guard nfct_attr_is_set(entry, ATTR_REPL_IPV4_DST) > 0, nfct_get_attr_u32(entry, ATTR_REPL_IPV4_DST) == address,
      let copy = nfct_clone(entry)
    else { return }
    entries.append(copy)
  }
}

/// A failure of connection tracking.
public struct ConntrackError: Error, Hashable, Sendable {
  /// What was being done, as the beginning of a sentence: “listing the connections”.
  public let action: String
  /// The number of the error (`errno`).
  public let code: Int32

  init(_ action: String, code: Int32) {
    self.action = action
    self.code = code
  }
}

extension ConntrackError: CustomStringConvertible {
  /// The failure as a sentence without a full stop.
  public var description: String {
    "\(action) failed: \(strerror(code).map { String(cString: $0) } ?? "error \(code)")"
  }
}
