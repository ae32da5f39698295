// SPDX-License-Identifier: GPL-3.0-or-later
//
// The command line. `routerd run` is the daemon; every other verb is a short look at, or a word to, what runs.

import ArgumentParser

@main
struct Routerd: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "routerd",
    abstract: "Keeps IPv4 working over an IPv6 line with MAP-E or DS-Lite.",
    version: "0.1.0",
    subcommands: [
      RunCommand.self, StatusCommand.self, PortsCommand.self, ProfileCommand.self, CalcCommand.self,
      PluginsCommand.self, CheckConfigCommand.self, TeardownCommand.self,
    ])
}
