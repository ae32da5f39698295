// SPDX-License-Identifier: GPL-3.0-or-later
//
// What CLI and daemon say to each other on the control socket: one request and one reply per connection, each a JSON
// object followed by a NUL byte.

import FoundationEssentials

/// What the CLI asks of the daemon.
public enum ControlRequest: String, Codable, Hashable, Sendable {
  /// How are you?
  case status
  /// Read the configuration again and go by it.
  case reload
  /// Who uses which ports?
  case ports
}

/// What the daemon answers: a status, or why it did not do what was asked.
public struct ControlReply: Codable, Hashable, Sendable {
  /// The state after the request.
  public var status: StatusReport?
  /// The use of ports, if that was asked for.
  public var ports: PortsReport?
  /// Why the request was not carried out.
  public var error: String?

  /// Makes a reply.
  public init(status: StatusReport? = nil, ports: PortsReport? = nil, error: String? = nil) {
    self.status = status
    self.ports = ports
    self.error = error
  }
}

/// The frame of a message.
public enum ControlFrame {
  /// The most bytes that one side accepts from the other.
  public static let limit = 64 << 10

  /// JSON and the NUL byte behind it.
  public static func encode(_ message: some Encodable) throws -> [UInt8] {
    try JSON.encode(message) + [0]
  }

  /// Reads a message from the bytes before the NUL.
  public static func decode<Message: Decodable>(_ type: Message.Type, from bytes: [UInt8]) throws -> Message {
    try JSONDecoder().decode(type, from: Data(bytes))
  }
}

/// JSON as routerd writes it.
public enum JSON {
  /// One line with sorted keys.
  public static func encode(_ value: some Encodable) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return Array(try encoder.encode(value))
  }

  /// One line with the keys of the outermost object in the order given, for output whose order readers rely on.
  public static func encode(ordered fields: [(key: String, value: any Encodable)]) throws -> String {
    let members = try fields.map { field in
      "\(String(decoding: try encode(field.key), as: UTF8.self)):\(String(decoding: try encode(field.value), as: UTF8.self))"
    }
    return "{\(members.joined(separator: ","))}"
  }
}
