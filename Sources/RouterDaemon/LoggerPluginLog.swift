// SPDX-License-Identifier: GPL-3.0-or-later
//
// What plugins write to: the daemon's log.

import Logging
import RouterKit

struct LoggerPluginLog: PluginLog {
  private let logger: Logger

  init(_ logger: Logger) {
    self.logger = logger
  }

  func debug(_ message: String) { logger.debug("\(message)") }
  func info(_ message: String) { logger.info("\(message)") }
  func warning(_ message: String) { logger.warning("\(message)") }
}
