// SPDX-License-Identifier: GPL-3.0-or-later
//
// One daemon per control socket. The kernel lets go of the lock when its process ends, however it ends.

import Glibc

struct InstanceLock: ~Copyable, Sendable {
  private let descriptor: CInt

  /// Takes the lock beside the control socket.
  /// - Throws: ``SetupError`` if a daemon runs, ``FileError`` if the file cannot be made.
  init(socket: String) throws {
    try FileSystem.makeFolder(FileSystem.parent(of: socket), mode: 0o755)
    let path = "\(socket).lock"
    // For nobody else: whoever can open the file can take the lock, and no daemon would start.
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw FileError("open", path, code: errno) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let code = errno
      let owner = (try? FileSystem.read(path, limit: 32)).map { String(decoding: $0, as: UTF8.self) } ?? ""
      close(descriptor)
      guard code == EWOULDBLOCK else { throw FileError("lock", path, code: code) }
      throw SetupError(
        "routerd runs already\(owner.isEmpty ? "" : " (process \(owner))"); stop it first, or use another [control] socket"
      )
    }
    let owner = Array("\(getpid())".utf8)
    ftruncate(descriptor, 0)
    pwrite(descriptor, owner, owner.count, 0)
    self.descriptor = descriptor
  }

  /// Lets go of the lock.
  consuming func release() {}

  deinit {
    close(descriptor)
  }
}
