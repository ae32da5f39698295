// SPDX-License-Identifier: GPL-3.0-or-later
//
// A kernel that says what it was told to say, for answers that the real one gives rarely or never.

import Synchronization

@testable import Netlink

/// Plays back datagrams and keeps what was sent.
final class FakeTransport: NetlinkTransport {
  let port: UInt32 = 0x0102_0304
  private let state: Mutex<State>

  private struct State {
    var answers: [Result<[UInt8], SystemCallError>]
    var sent: [[UInt8]] = []
  }

  init(_ answers: Result<[UInt8], SystemCallError>...) {
    state = Mutex(State(answers: answers))
  }

  init(datagrams: [[UInt8]]) {
    state = Mutex(State(answers: datagrams.map { .success($0) }))
  }

  var sent: [[UInt8]] {
    state.withLock { $0.sent }
  }

  func send(_ message: [UInt8]) throws(SystemCallError) {
    state.withLock { $0.sent.append(message) }
  }

  /// The next answer; when there is none left, the silence of a kernel that does not answer.
  func receive(wait: Bool) throws(SystemCallError) -> [UInt8] {
    let answer = state.withLock { state in
      state.answers.isEmpty ? .failure(SystemCallError(code: 11)) : state.answers.removeFirst()
    }
    return try answer.get()
  }
}

/// The bytes of a text of hexadecimal numbers; what follows a `#` up to the end of its line is a remark.
func hex(_ text: String) -> [UInt8] {
  text.split(separator: "\n").flatMap { line in
    line.prefix { $0 != "#" }.split(separator: " ").flatMap { word -> [UInt8] in
      let digits = word.compactMap { UInt8($0.description, radix: 16) }
      precondition(digits.count == word.count && digits.count.isMultiple(of: 2), "“\(word)” is no pair of digits")
      return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }
  }
}

/// A message with its length filled in.
func message(
  type: UInt16, flags: UInt16 = 0, sequence: UInt32 = 1, port: UInt32 = 0x0102_0304, _ payload: [UInt8] = []
) -> [UInt8] {
  func bytes(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }
  return bytes(UInt32(16 + payload.count)) + bytes(type) + bytes(flags) + bytes(sequence) + bytes(port) + payload
}
