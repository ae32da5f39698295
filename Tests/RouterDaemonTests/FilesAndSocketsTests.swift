// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the daemon leaves in the file system, and what it bears from the other end of its control socket.

import Glibc
import Netlink
import TestSupport
import Testing

@testable import RouterDaemon

struct FilesAndSocketsTests {
  private func status(_ path: String) throws -> stat {
    var status = stat()
    guard lstat(path, &status) == 0 else { throw FolderError(code: errno) }
    return status
  }

  @Test func theControlSocketIsForOwnerAndGroupWhateverTheUmask() throws {
    let folder = try TemporaryFolder()
    let socket = try UnixSocket.listen(at: "\(folder.path)/control")
    #expect(try status("\(folder.path)/control").st_mode == S_IFSOCK | 0o660)
    _ = consume socket
    _ = try UnixSocket.listen(at: "\(folder.path)/control")  // in place of the one that nobody listens on
  }

  @Test func theControlSocketReplacesNoOtherFile() throws {
    let folder = try TemporaryFolder()
    let file = try folder.write("precious", "text")
    try shell("ln -s precious '\(folder.path)/link'")
    for path in [file, "\(folder.path)/link"] {
      let error = #expect(throws: FileError.self) { _ = try UnixSocket.listen(at: path) }
      #expect(error?.description.contains("another file has this name") == true)
    }
    #expect(try status(file).st_size == 4)
  }

  /// Whoever may open the lock could hold it, and keep the daemon from starting.
  @Test func theLockIsForTheDaemonAlone() throws {
    let folder = try TemporaryFolder()
    let lock = try InstanceLock(socket: "\(folder.path)/control")
    #expect(try status("\(folder.path)/control.lock").st_mode == S_IFREG | 0o600)
    #expect(throws: SetupError.self) { _ = try InstanceLock(socket: "\(folder.path)/control") }
    lock.release()
    try InstanceLock(socket: "\(folder.path)/control").release()
  }

  /// Each byte comes in time, the frame does not. (Other tests may hold the threads for a while, hence minutes.)
  @Test(.timeLimit(.minutes(2))) func aClientHasOneDeadlineForTheWholeFrame() async throws {
    var ends: [CInt] = [0, 0]
    #expect(socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0, &ends) == 0)
    let server = UnixSocket.adopting(ends[0])
    let client = UnixSocket.adopting(ends[1])
    let writer = ends[1]
    let dribble = Task {
      while !Task.isCancelled {
        send(writer, "x", 1, CInt(MSG_NOSIGNAL))
        try await Task.sleep(for: .milliseconds(50))
      }
    }
    let frame = await server.readFrame(within: .milliseconds(400))
    dribble.cancel()
    _ = await dribble.result
    #expect(frame == nil)
    let isWritten = client.write(Array("end\u{0}more".utf8))
    #expect(isWritten)
    let rest = await server.readFrame(within: .seconds(60))
    #expect(rest?.suffix(3) == Array("end".utf8)[...])
    _ = consume client
    let closed = await server.readFrame(within: .seconds(60))
    #expect(closed == nil)
  }

  @Test func aSettingThatIsWrittenDownIsNotWrittenAgain() throws {
    let folder = try TemporaryFolder()
    let record = SettingsRecord(folder: "\(folder.path)/state")
    let link = Link(index: 3, name: "lan0", isUp: true, hasCarrier: true, mtu: 1500, ipv4Settings: [.forwarding: 0])
    try record.remember(link, changing: [.forwarding])
    let first = try status("\(folder.path)/state/interface-settings").st_ino
    try record.remember(link, changing: [.forwarding])
    #expect(try status("\(folder.path)/state/interface-settings").st_ino == first)
  }
}
