// SPDX-License-Identifier: GPL-3.0-or-later
//
// Reads one TOML table key by key, with errors for people: what stands there, what should, and which keys there are when
// one is unknown (a misspelt key that is silently ignored costs an evening).

import Glibc
import RouterKit
import TOMLKit

struct TableReader {
  private let table: TOMLTable
  private let file: String
  private let section: String
  private let entry: Int?
  private var known: [String] = []

  init(_ table: TOMLTable, file: String, section: String, entry: Int? = nil) {
    self.table = table
    self.file = file
    self.section = section
    self.entry = entry
  }

  func error(_ key: String, _ problem: String) -> ConfigurationError {
    let place = entry.map { "[[\(section)]] number \($0), " } ?? (section.isEmpty ? "" : "[\(section)] ")
    return ConfigurationError(file, "\(place)\(key): \(problem)")
  }

  private mutating func node<Value>(
    _ key: String, _ kind: String, _ read: (any TOMLValueConvertible) -> Value?
  ) throws(ConfigurationError) -> Value? {
    known.append(key)
    guard let node = table[key] else { return nil }
    guard let value = read(node) else {
      throw error(key, "this should be \(kind), not \(Self.name(of: node.type))")
    }
    return value
  }

  private static func name(of type: TOMLType) -> String {
    switch type {
    case .table: "a section"
    case .array: "a list"
    case .string: "a text"
    case .int, .double: "a number"
    case .bool: "true or false"
    default: "a date or time"
    }
  }

  mutating func string(_ key: String) throws(ConfigurationError) -> String? {
    try node(key, "a text in quotes", \.string)
  }

  mutating func bool(_ key: String) throws(ConfigurationError) -> Bool? {
    try node(key, "true or false", \.bool)
  }

  mutating func integer(_ key: String, in range: ClosedRange<Int>) throws(ConfigurationError) -> Int? {
    guard let value = try node(key, "a whole number", \.int) else { return nil }
    guard range.contains(value) else {
      throw error(key, "\(value) is not within \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  /// One text or a list of texts.
  mutating func strings(_ key: String) throws(ConfigurationError) -> [String]? {
    try node(key, "a text in quotes or a list of them") { node in
      if let one = node.string { return [one] }
      guard let array = node.array else { return nil }
      let texts = array.compactMap(\.string)
      return texts.count == array.count ? texts : nil
    }
  }

  mutating func interfaceName(_ key: String) throws(ConfigurationError) -> String? {
    guard let name = try string(key) else { return nil }
    return try checkInterfaceName(name, key)
  }

  mutating func interfaceNames(_ key: String) throws(ConfigurationError) -> [String]? {
    guard let names = try strings(key) else { return nil }
    for name in names { _ = try checkInterfaceName(name, key) }
    return names
  }

  private func checkInterfaceName(_ name: String, _ key: String) throws(ConfigurationError) -> String {
    let isValid =
      (1...Int(IF_NAMESIZE) - 1).contains(name.utf8.count) && name != "." && name != ".."
      && name.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7f && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":") }
    guard isValid else {
      throw error(key, "“\(name.prefix(40))” cannot be the name of an interface (1 to 15 bytes, no space, “/” or “:”)")
    }
    return name
  }

  mutating func path(_ key: String, limit: Int) throws(ConfigurationError) -> String? {
    guard let path = try string(key) else { return nil }
    guard path.hasPrefix("/"), path.utf8.count <= limit else {
      throw error(key, "this should be an absolute path of at most \(limit) bytes")
    }
    return path
  }

  func value<Value>(_ key: String, _ read: () throws(AddressError) -> Value) throws(ConfigurationError) -> Value {
    do { return try read() } catch { throw self.error(key, error.description) }
  }

  /// Reads `[[name]]` entry by entry; their number counts from 1.
  mutating func entries(
    _ name: String, _ read: (inout TableReader) throws(ConfigurationError) -> Void
  ) throws(ConfigurationError) {
    let tables = try node(name, "a list of sections, each with [[\(name)]] above it") { node -> [TOMLTable]? in
      guard let array = node.array else { return nil }
      let tables = array.compactMap(\.table)
      return tables.count == array.count ? tables : nil
    }
    for (index, table) in (tables ?? []).enumerated() {
      var reader = TableReader(table, file: file, section: name, entry: index + 1)
      try read(&reader)
      try reader.finish()
    }
  }

  mutating func section(
    _ name: String, _ read: (inout TableReader) throws(ConfigurationError) -> Void
  ) throws(ConfigurationError) {
    guard let table = try node(name, "a section", \.table) else { return }
    var reader = TableReader(table, file: file, section: section.isEmpty ? name : "\(section).\(name)")
    try read(&reader)
    try reader.finish()
  }

  /// Refuses keys that nobody has asked for.
  func finish() throws(ConfigurationError) {
    for key in table.keys.sorted() where !known.contains(key) {
      throw error(key, "there is no such key; there are \(known.sorted().joined(separator: ", "))")
    }
  }
}
