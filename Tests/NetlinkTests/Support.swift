// SPDX-License-Identifier: GPL-3.0-or-later
//
// Small things that several tests need.

import Glibc
import Netlink
import Testing

/// The error that `body` throws; a test fails here if it throws none.
func caught(_ body: () throws(NetlinkError) -> Void) throws -> NetlinkError {
  do {
    try body()
  } catch {
    return error
  }
  throw NoErrorThrown()
}

struct NoErrorThrown: Error {}

/// The number in a file of /proc. Files under /proc/sys/net show the namespace of the thread that opens them.
func readNumber(_ path: String) throws -> Int32 {
  let file = open(path, O_RDONLY | O_CLOEXEC)
  try #require(file >= 0, "\(path)")
  defer { close(file) }
  var bytes = [UInt8](repeating: 0, count: 64)
  let count = read(file, &bytes, bytes.count)
  let digits = bytes.prefix(max(count, 0)).prefix { $0 != 0x0a }
  return try #require(Int32(String(decoding: digits, as: UTF8.self)))
}

/// Looks again and again, woken by the monitor, until `condition` holds; false after `seconds`.
func waitUntil(_ monitor: NetlinkMonitor, seconds: Int, _ condition: () throws -> Bool) throws -> Bool {
  let end = ContinuousClock.now + .seconds(seconds)
  while ContinuousClock.now < end {
    if try condition() { return true }
    _ = try monitor.wait(timeout: .milliseconds(200))
  }
  return try condition()
}
