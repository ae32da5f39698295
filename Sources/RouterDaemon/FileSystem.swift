// SPDX-License-Identifier: GPL-3.0-or-later
//
// The few file operations that the daemon needs, with errors that name the file. Files are read whole and with a limit:
// everything routerd reads is small, and whatever is not is a mistake or an attack.

import Glibc

/// A file operation that failed.
struct FileError: Error, CustomStringConvertible {
  /// The errno value.
  let code: Int32
  let description: String

  /// - Parameter reason: what is wrong, if the text of `code` does not say it.
  init(_ operation: String, _ path: String, code: Int32, reason: String? = nil) {
    self.code = code
    description = "cannot \(operation) \(path): \(reason ?? String(cString: strerror(code)))"
  }
}

enum FileSystem {
  /// The whole content of a regular file of at most `limit` bytes.
  static func read(_ path: String, limit: Int) throws(FileError) -> [UInt8] {
    let (descriptor, size) = try openFile(path)
    defer { close(descriptor) }
    guard size <= limit else { throw FileError("read", path, code: EFBIG) }
    var content: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      if count < 0 {
        if errno == EINTR { continue }
        throw FileError("read", path, code: errno)
      }
      if count == 0 { return content }
      content += chunk[..<count]
      guard content.count <= limit else { throw FileError("read", path, code: EFBIG) }
    }
  }

  /// The first `count` bytes of a regular file, or all if it has fewer, and its size.
  static func beginning(of path: String, count: Int) throws(FileError) -> (bytes: [UInt8], size: Int) {
    let (descriptor, size) = try openFile(path)
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: count)
    let read = pread(descriptor, &bytes, count, 0)
    guard read >= 0 else { throw FileError("read", path, code: errno) }
    return (Array(bytes[..<read]), size)
  }

  /// Opens a regular file for reading. Whatever else has the name (a folder, a FIFO that nobody writes to) is refused
  /// without waiting.
  private static func openFile(_ path: String) throws(FileError) -> (descriptor: CInt, size: Int) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw FileError("read", path, code: errno) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw FileError("read", path, code: EINVAL, reason: "this is no regular file")
    }
    return (descriptor, status.st_size)
  }

  /// Puts `content` in place of `path` so that a reader, or a crash, sees the old content or the new, never a part:
  /// a new file beside it is written, synced and renamed.
  static func replace(_ path: String, with content: String, mode: mode_t) throws(FileError) {
    let temporary = "\(path).new"
    unlink(temporary)
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
    guard descriptor >= 0 else { throw FileError("write", temporary, code: errno) }
    do throws(FileError) {
      defer { close(descriptor) }
      var rest = Array(content.utf8)[...]
      while !rest.isEmpty {
        let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        if count < 0 {
          if errno == EINTR { continue }
          throw FileError("write", temporary, code: errno)
        }
        rest = rest.dropFirst(count)
      }
      guard fsync(descriptor) == 0 else { throw FileError("write", temporary, code: errno) }
    } catch {
      unlink(temporary)
      throw error
    }
    guard rename(temporary, path) == 0 else { throw FileError("replace", path, code: errno) }
    let folder = open(parent(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if folder >= 0 {
      fsync(folder)
      close(folder)
    }
  }

  /// Removes a file; one that is not there is no error.
  static func remove(_ path: String) throws(FileError) {
    guard unlink(path) == 0 || errno == ENOENT else { throw FileError("remove", path, code: errno) }
  }

  /// The names in a folder, in no order.
  static func list(_ path: String) throws(FileError) -> [String] {
    guard let folder = opendir(path) else { throw FileError("list", path, code: errno) }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names
  }

  /// Makes a folder and those above it.
  static func makeFolder(_ path: String, mode: mode_t) throws(FileError) {
    guard mkdir(path, mode) != 0, errno != EEXIST else { return }
    guard errno == ENOENT, path != "/" else { throw FileError("make", path, code: errno) }
    try makeFolder(parent(of: path), mode: 0o755)
    guard mkdir(path, mode) == 0 || errno == EEXIST else { throw FileError("make", path, code: errno) }
  }

  /// Whether something is at `path`.
  static func exists(_ path: String) -> Bool {
    access(path, F_OK) == 0
  }

  /// Everything before the last slash.
  static func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }
}
