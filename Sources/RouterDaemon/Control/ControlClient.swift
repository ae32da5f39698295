// SPDX-License-Identifier: GPL-3.0-or-later
//
// The CLI's end of the control socket.

public import ControlProtocol
import Glibc

/// Asks a running daemon.
public struct ControlClient: Sendable {
  private let path: String

  /// - Parameter path: the control socket.
  public init(path: String) {
    self.path = path
  }

  /// Sends one request and waits for the reply.
  /// - Returns: the reply, or nothing if no daemon runs.
  /// - Throws: ``ControlError`` if there is a daemon that cannot be talked to.
  public func send(_ request: ControlRequest) throws(ControlError) -> ControlReply? {
    let socket: UnixSocket
    do {
      socket = try UnixSocket.connect(to: path)
    } catch  where error.code == ENOENT || error.code == ECONNREFUSED {
      return nil
    } catch {
      throw ControlError(description: error.description)
    }
    socket.setDeadline(seconds: 30)
    do {
      guard socket.write(try ControlFrame.encode(request)), let frame = socket.readFrame() else {
        throw ControlError(description: "the daemon at \(path) does not answer")
      }
      return try ControlFrame.decode(ControlReply.self, from: frame)
    } catch let error as ControlError {
      throw error
    } catch {
      throw ControlError(description: "the daemon at \(path) gives an answer of another version: restart it")
    }
  }
}

/// Why a daemon cannot be talked to.
public struct ControlError: Error, Hashable, Sendable, CustomStringConvertible {
  /// A sentence for a person.
  public let description: String

  /// Makes an error.
  public init(description: String) {
    self.description = description
  }
}
