// SPDX-License-Identifier: GPL-3.0-or-later
//
// A look at a file before dlopen(3) may touch it. The dynamic linker waits for ever on a FIFO, and it maps what the
// program headers promise: a plugin that was copied only in part would end the daemon by SIGBUS. What else is wrong with
// a file, dlopen says well itself.

enum SharedObjectFile {
  /// Why the file must not be opened; nothing if it may.
  static func problem(_ path: String) -> String? {
    do {
      let (head, size) = try FileSystem.beginning(of: path, count: 4096)
      guard let promised = extent(head), promised > size else { return nil }
      return "it is cut off: \(size) bytes of at least \(promised); copy it again"
    } catch {
      return error.description
    }
  }

  /// How many bytes the loadable segments of a 64-bit little-endian ELF file reach into it; nothing if this is none, or
  /// if its program headers are not at the beginning, where linkers put them.
  private static func extent(_ head: [UInt8]) -> Int? {
    guard head.starts(with: [0x7f, 0x45, 0x4c, 0x46, 2, 1]), let table = number(head, 32, 8),
      let entrySize = number(head, 54, 2), let count = number(head, 56, 2), table <= head.count
    else { return nil }
    var end = 0
    for entry in 0..<count {
      let header = table + entry * entrySize
      guard let type = number(head, header, 4), let offset = number(head, header + 8, 8),
        let length = number(head, header + 32, 8)
      else { return nil }
      guard type == 1 else { continue }  // PT_LOAD
      let (sum, overflows) = offset.addingReportingOverflow(length)
      end = max(end, overflows ? .max : sum)
    }
    return end
  }

  private static func number(_ bytes: [UInt8], _ offset: Int, _ size: Int) -> Int? {
    guard offset >= 0, offset + size <= bytes.count else { return nil }
    let value = bytes[offset..<offset + size].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    return Int(exactly: value)
  }
}
