// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the settings of other people's interfaces were before routerd changed them (forwarding on the LAN), so that
// `teardown` can put them back. The kernel has no place for this; it is the one thing that is written down. A line is
// `INTERFACE SETTING VALUE`; the first value that was found is the one that counts, whatever happens later.

import Glibc
import Netlink

struct SettingsRecord: Sendable {
  private let folder: String

  /// - Parameter folder: the state directory; made when something is written.
  init(folder: String) {
    self.folder = folder
  }

  private var path: String { "\(folder)/interface-settings" }

  private struct Entry: Hashable {
    let interface: String
    let setting: IPv4Setting
    let value: Int32
  }

  /// Writes down what `settings` of `link` are now, before they are changed.
  func remember(_ link: Link, changing settings: some Sequence<IPv4Setting>) throws {
    var entries = read()
    let known = entries.count
    for setting in settings.sorted(by: { $0.rawValue < $1.rawValue })
    where !entries.contains(where: { $0.interface == link.name && $0.setting == setting }) {
      guard let value = link.ipv4Settings[setting] else { continue }
      entries.append(Entry(interface: link.name, setting: setting, value: value))
    }
    // What is written down already must not fail on a full disk.
    guard entries.count > known else { return }
    try FileSystem.makeFolder(folder, mode: 0o700)
    let text = entries.map { "\($0.interface) \($0.setting.rawValue) \($0.value)\n" }.joined()
    try FileSystem.replace(path, with: text, mode: 0o600)
  }

  /// Puts everything back that was written down.
  func restore(_ links: [Link]) throws {
    var netlink = try NetlinkSocket()
    for entry in read() {
      guard let link = links.first(where: { $0.name == entry.interface }) else { continue }
      try netlink.setIPv4Settings(link.index, [entry.setting: entry.value])
    }
    try FileSystem.remove(path)
  }

  /// Lines that cannot be read are passed over: without them a setting stays as routerd set it, nothing worse.
  private func read() -> [Entry] {
    guard let bytes = try? FileSystem.read(path, limit: 1 << 16) else { return [] }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ")
      guard words.count == 3, let number = UInt16(words[1]), let setting = IPv4Setting(rawValue: number),
        let value = Int32(words[2])
      else { return nil }
      return Entry(interface: String(words[0]), setting: setting, value: value)
    }
  }
}
