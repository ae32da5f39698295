// SPDX-License-Identifier: GPL-3.0-or-later
//
// A Unix stream socket and the frames on it: bytes up to a NUL, with a limit and a deadline, so that nobody at the other
// end can hold this one.

import ControlProtocol
import Dispatch
import Glibc

/// A connected or listening Unix socket; closed when it goes out of scope.
struct UnixSocket: ~Copyable, Sendable {
  /// The longest path in bytes (sockaddr_un(7)).
  static let pathLimit = 107

  let descriptor: CInt

  private init(descriptor: CInt) {
    self.descriptor = descriptor
  }

  deinit {
    close(descriptor)
  }

  /// Takes over a descriptor, as accept(2) gives one.
  static func adopting(_ descriptor: CInt) -> UnixSocket {
    UnixSocket(descriptor: descriptor)
  }

  /// A socket that listens at `path`, readable and writable for owner and group. A socket that nobody listens on any
  /// more is replaced; anything else that has the name stays.
  static func listen(at path: String) throws(FileError) -> UnixSocket {
    let socket = try make(SOCK_NONBLOCK.rawValue, path)
    var old = stat()
    if lstat(path, &old) == 0 {
      guard old.st_mode & S_IFMT == S_IFSOCK else {
        throw FileError("make the control socket", path, code: EEXIST, reason: "another file has this name")
      }
      unlink(path)
    }
    // The mode of the descriptor is the file's from its first moment on; umask(2) would be every thread's. The umask of
    // the process still takes bits away, so what is wanted is said again.
    guard fchmod(socket.descriptor, 0o600) == 0,
      withAddress(path, { bind(socket.descriptor, $0, $1) }) == 0, chmod(path, 0o660) == 0
    else { throw FileError("make the control socket", path, code: errno) }
    guard Glibc.listen(socket.descriptor, 16) == 0 else {
      throw FileError("listen on the control socket", path, code: errno)
    }
    return socket
  }

  /// A socket that is connected to whoever listens at `path`.
  static func connect(to path: String) throws(FileError) -> UnixSocket {
    let socket = try make(0, path)
    guard withAddress(path, { Glibc.connect(socket.descriptor, $0, $1) }) == 0 else {
      throw FileError("connect to", path, code: errno)
    }
    return socket
  }

  private static func make(_ flags: UInt32, _ path: String) throws(FileError) -> UnixSocket {
    guard path.utf8.count <= pathLimit else { throw FileError("use", path, code: ENAMETOOLONG) }
    let type = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | flags
    let descriptor = socket(AF_UNIX, CInt(bitPattern: type), 0)
    guard descriptor >= 0 else { throw FileError("open a socket for", path, code: errno) }
    return UnixSocket(descriptor: descriptor)
  }

  private static func withAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt) -> CInt {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(pathLimit)) }
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
  }

  /// Sets how long one read or write may take.
  /// - Parameter seconds: more than 0.
  func setDeadline(seconds: Int) {
    var time = timeval(tv_sec: seconds, tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      setsockopt(descriptor, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
    }
  }

  /// The bytes before the next NUL; nothing if the other end closes before, takes too long or sends too much.
  func readFrame() -> [UInt8]? {
    var input = FrameInput()
    // Incomplete means here that the deadline has passed.
    guard case .frame(let frame) = input.read(descriptor) else { return nil }
    return frame
  }

  /// As ``readFrame()``, with a limit for the whole frame and without a thread that waits.
  func readFrame(within limit: Duration) async -> [UInt8]? {
    // The event source has a descriptor of its own, which it closes when it is done with it.
    let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
    guard copy >= 0 else { return nil }
    let (readiness, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    let source = DispatchSource.makeReadSource(fileDescriptor: copy, queue: .global())
    source.setEventHandler { continuation.yield() }
    source.setCancelHandler { close(copy) }
    source.activate()
    defer { source.cancel() }
    return await withTaskGroup(of: [UInt8]?.self) { group in
      group.addTask {
        var input = FrameInput()
        for await _ in readiness {
          switch input.read(copy) {
          case .frame(let frame): return frame
          case .incomplete: continue
          case .failed: return nil
          }
        }
        return nil
      }
      group.addTask {
        try? await Task.sleep(for: limit)
        return nil
      }
      defer { group.cancelAll() }
      return await group.next() ?? nil
    }
  }

  /// Writes everything; false if the other end does not take it.
  func write(_ bytes: [UInt8]) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }
}

/// What has come of a frame so far.
private struct FrameInput {
  private var bytes: [UInt8] = []

  enum Progress {
    case frame([UInt8])
    /// There is no more at the moment.
    case incomplete
    /// The other end has closed, or sends too much.
    case failed
  }

  /// Reads until the frame is complete or nothing more is there.
  mutating func read(_ descriptor: CInt) -> Progress {
    var chunk = [UInt8](repeating: 0, count: 4096)
    while bytes.count <= ControlFrame.limit {
      let count = recv(descriptor, &chunk, chunk.count, 0)
      if count < 0, errno == EINTR { continue }
      if count < 0, errno == EAGAIN { return .incomplete }
      guard count > 0 else { return .failed }
      if let end = chunk[..<count].firstIndex(of: 0) { return .frame(bytes + chunk[..<end]) }
      bytes += chunk[..<count]
    }
    return .failed
  }
}
