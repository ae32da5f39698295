// SPDX-License-Identifier: GPL-3.0-or-later
//
// Connections of an address which is no longer ours must go, and those of ports that stand for others now: their packets
// would leave with the old address or under a wrong port. libnetfilter_conntrack lists and deletes them.

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

  /// Deletes the IPv4 connections that have `address` on the side of the world: those whose source was translated to
  /// it, those that were opened from it or to it. All others stay.
  /// - Parameter ports: if given, only connections of TCP and UDP in which the address has one of these ports. (A ping
  ///   that changes its identifier still works.)
  /// - Returns: how many were deleted.
  @discardableResult
  public func deleteEntries(of address: IPv4Address, ports: Set<UInt16>? = nil) throws(ConntrackError) -> Int {
    let matches = Matches(address: address, ports: ports)
    try list(matches)
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
      case let code: throw ConntrackError("deleting a connection of \(address)", code: code)
      }
    }
    return true
  }

  /// Shows every IPv4 connection to `reader`.
  func list(_ reader: EntryReader) throws(ConntrackError) {
    nfct_callback_register2(
      handle, NFCT_T_ALL,
      { message, _, entry, context in
        if let message, let entry, let context {
          Unmanaged<EntryReader>.fromOpaque(context).takeUnretainedValue().consider(entry, in: message)
        }
        return Int32(NFCT_CB_CONTINUE)
      }, Unmanaged.passUnretained(reader).toOpaque())
    defer { nfct_callback_unregister2(handle) }
    var family = UInt32(AF_INET)
    while nfct_query(handle, NFCT_Q_DUMP, &family) != 0 {
      guard errno == EINTR else { throw ConntrackError("listing the connections", code: errno) }
    }
  }
}

/// Somebody who is shown entries, each with the message that it came in.
class EntryReader {
  func consider(_ entry: OpaquePointer, in message: UnsafePointer<nlmsghdr>) {}
}

/// Copies of the listed entries that are meant.
private final class Matches: EntryReader {
  private let address: UInt32
  private let ports: Set<UInt16>?
  private(set) var entries: [OpaquePointer] = []

  init(address: IPv4Address, ports: Set<UInt16>?) {
    self.address = address.bits.bigEndian
    self.ports = ports
  }

  deinit {
    for entry in entries { nfct_destroy(entry) }
  }

  override func consider(_ entry: OpaquePointer, in message: UnsafePointer<nlmsghdr>) {
    guard has(entry, ATTR_REPL_IPV4_DST, ATTR_REPL_PORT_DST) || has(entry, ATTR_ORIG_IPV4_DST, ATTR_ORIG_PORT_DST),
      let copy = nfct_clone(entry)
    else { return }
    entries.append(copy)
  }

  /// Whether the end of the connection is meant.
  private func has(_ entry: OpaquePointer, _ address: nf_conntrack_attr, _ port: nf_conntrack_attr) -> Bool {
    guard nfct_attr_is_set(entry, address) > 0, nfct_get_attr_u32(entry, address) == self.address else { return false }
    guard let ports else { return true }
    return nfct_attr_is_set(entry, port) > 0 && ports.contains(UInt16(bigEndian: nfct_get_attr_u16(entry, port)))
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
