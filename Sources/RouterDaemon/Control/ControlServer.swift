// SPDX-License-Identifier: GPL-3.0-or-later
//
// The daemon's end of the control socket. One request per connection; slow and surplus clients are let go, and none of
// them can hold up routing: no thread ever waits for one. (The threads of Dispatch are those of Swift's tasks, too.)

import ControlProtocol
import Dispatch
import Glibc
import Logging
import ServiceLifecycle

struct ControlServer: Service {
  let path: String
  let reconciler: Reconciler
  let logger: Logger

  private static let connectionLimit = 32
  private static let requestLimit = Duration.seconds(5)

  func run() async throws {
    try FileSystem.makeFolder(FileSystem.parent(of: path), mode: 0o755)
    let listener = try UnixSocket.listen(at: path)
    defer { unlink(path) }
    let descriptor = listener.descriptor
    let (connections, continuation) = AsyncStream.makeStream(
      of: CInt.self, bufferingPolicy: .bufferingOldest(Self.connectionLimit))
    let source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: .global())
    source.setEventHandler { () -> Void in
      while true {
        let connection = accept(descriptor, nil, nil)
        guard connection >= 0 else { break }
        _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
        _ = fcntl(connection, F_SETFL, O_NONBLOCK)
        if case .dropped(let surplus) = continuation.yield(connection) { close(surplus) }
      }
    }
    source.activate()
    await withTaskGroup(of: Void.self) { group in
      var open = 0
      for await connection in connections.cancelOnGracefulShutdown() {
        if open >= Self.connectionLimit {
          // Wait for one to end; its deadline sees to that.
          await group.next()
          open -= 1
        }
        open += 1
        group.addTask { await serve(connection) }
      }
      group.cancelAll()
    }
    source.cancel()
    _ = consume listener
  }

  private func serve(_ descriptor: CInt) async {
    let connection = UnixSocket.adopting(descriptor)
    guard let frame = await connection.readFrame(within: Self.requestLimit) else { return }
    let reply: ControlReply
    if let request = try? ControlFrame.decode(ControlRequest.self, from: frame) {
      reply = await answer(request)
    } else {
      reply = ControlReply(error: "this is no request that the daemon knows")
    }
    // The answer fits into an empty socket buffer, so this does not wait either.
    guard let bytes = try? ControlFrame.encode(reply), connection.write(bytes) else {
      logger.debug("a control client went away before its answer")
      return
    }
  }

  private func answer(_ request: ControlRequest) async -> ControlReply {
    switch request {
    case .status:
      return ControlReply(status: await reconciler.report())
    case .ports:
      do {
        return ControlReply(ports: try PortUsage.report(try await reconciler.sharedAddress()))
      } catch {
        return ControlReply(error: "\(error)")
      }
    case .reload:
      do {
        try await reconciler.reload()
        return ControlReply(status: await reconciler.report())
      } catch {
        return ControlReply(status: await reconciler.report(), error: "\(error)")
      }
    }
  }
}
