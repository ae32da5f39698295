// SPDX-License-Identifier: GPL-3.0-or-later
//
// iproute2 as the second witness: it makes kernel state for the tests and tells what it sees. A child is started from the
// thread of the test and so lives in the network namespace of that thread.

import FoundationEssentials
import Glibc

/// Runs `ip` with words separated by spaces and returns what it printed.
@discardableResult
func ip(_ words: String) throws -> [UInt8] {
  try run(["ip"] + words.split(separator: " ").map(String.init))
}

/// Runs `ip` line by line from a file of commands, for large numbers of them.
func ipBatch(_ lines: [String]) throws {
  var path = Array("/tmp/routerd-ip-batch-XXXXXX".utf8CString)
  let file = mkstemp(&path)
  guard file >= 0 else { throw CommandError(what: "mkstemp", status: errno) }
  defer {
    unlink(path)
    close(file)
  }
  let text = Array(lines.joined(separator: "\n").utf8) + [0x0a]
  guard write(file, text, text.count) == text.count else { throw CommandError(what: "write", status: errno) }
  try run(["ip", "-batch", String(decoding: path.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)])
}

/// Runs `ip -j` and decodes what it printed.
func ipShow<Value: Decodable>(_ words: String, as type: [Value].Type) throws -> [Value] {
  let output = try ip("-j \(words)")
  // Where there is nothing to show it may print nothing at all, or empty objects for what its filter left out.
  return output.isEmpty ? [] : try JSONDecoder().decode(type, from: Data(output))
}

struct CommandError: Error {
  let what: String
  let status: Int32
}

@discardableResult
private func run(_ words: [String]) throws -> [UInt8] {
  var ends: [CInt] = [-1, -1]
  guard pipe(&ends) == 0 else { throw CommandError(what: "pipe", status: errno) }
  // A test beside this one may start a child in between; it would only delay the end of the output a little.
  for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
  var actions = posix_spawn_file_actions_t()
  posix_spawn_file_actions_init(&actions)
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
  defer { posix_spawn_file_actions_destroy(&actions) }
  var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
  defer { arguments.forEach { free($0) } }
  var process = pid_t()
  let status = posix_spawnp(&process, "ip", &actions, nil, &arguments, environ)
  close(ends[1])
  defer { close(ends[0]) }
  guard status == 0 else { throw CommandError(what: "posix_spawnp", status: status) }
  var output: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 65_536)
  while true {
    let count = read(ends[0], &chunk, chunk.count)
    if count > 0 { output += chunk.prefix(count) } else if count == 0 || errno != EINTR { break }
  }
  var result: CInt = 0
  while waitpid(process, &result, 0) < 0 && errno == EINTR {}
  guard result == 0 else { throw CommandError(what: words.joined(separator: " "), status: result) }
  return output
}
