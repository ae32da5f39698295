// SPDX-License-Identifier: GPL-3.0-or-later
//
// One after the other, in the order of coming. An actor alone does not give that: it lets the next call in at every
// `await` of the one before.

actor Turns {
  private var isTaken = false
  private var waiting: [CheckedContinuation<Void, Never>] = []

  /// Waits for its turn, does the work, and lets the next one have its turn.
  func take<Value: Sendable>(_ work: @Sendable () async throws -> Value) async rethrows -> Value {
    if isTaken {
      await withCheckedContinuation { waiting.append($0) }
    }
    isTaken = true
    defer { letNextIn() }
    return try await work()
  }

  private func letNextIn() {
    guard !waiting.isEmpty else {
      isTaken = false
      return
    }
    // It stays taken: whoever comes between here and the next one's awakening has to wait.
    waiting.removeFirst().resume()
  }
}
