// SPDX-License-Identifier: GPL-3.0-or-later
//
// The log on standard error: one line a message. Under systemd each line carries its priority in the form of
// sd-daemon(3), and no time, which the journal knows better.

import Glibc
public import Logging

/// Writes log messages to standard error.
public struct ConsoleLogHandler: LogHandler {
  /// What is added to every message.
  public var metadata: Logger.Metadata = [:]
  /// The least important messages that are written.
  public var logLevel: Logger.Level = .info
  private let isUnderSystemd: Bool

  /// Makes a handler.
  /// - Parameter label: ignored; there is one log.
  public init(label: String) {
    isUnderSystemd = Self.isJournal(STDERR_FILENO)
  }

  /// Whether a descriptor leads to the journal: systemd.exec(5) gives device and inode of the stream, which a service
  /// that redirects a child's output passes on as they are.
  private static func isJournal(_ descriptor: CInt) -> Bool {
    guard let stream = getenv("JOURNAL_STREAM") else { return false }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return false }
    return String(cString: stream) == "\(status.st_dev):\(status.st_ino)"
  }

  /// One piece of what is added to every message.
  public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  /// Writes one line.
  public func log(event: LogEvent) {
    let details = metadata.merging(event.metadata ?? [:]) { _, new in new }.sorted { $0.key < $1.key }
      .map { " \($0.key)=\($0.value)" }.joined()
    let text = "\(event.message)\(details)".split(whereSeparator: \.isNewline).joined(separator: " ")
    let line: String
    if isUnderSystemd {
      line = "<\(Self.priority(event.level))>\(text)\n"
    } else {
      line =
        event.level >= .warning || event.level <= .debug ? "routerd: \(event.level): \(text)\n" : "routerd: \(text)\n"
    }
    // One write for a line, so that lines of several threads do not mix.
    let bytes = Array(line.utf8)
    _ = write(STDERR_FILENO, bytes, bytes.count)
  }

  private static func priority(_ level: Logger.Level) -> Int {
    switch level {
    case .trace, .debug: 7
    case .info: 6
    case .notice: 5
    case .warning: 4
    case .error: 3
    case .critical: 2
    }
  }
}
