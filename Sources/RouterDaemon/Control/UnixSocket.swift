// SPDX-License-Identifier: GPL-3.0-or-later
enum UnixSocket {
  static let pathLimit = 107
}
