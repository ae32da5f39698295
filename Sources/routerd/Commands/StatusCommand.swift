// SPDX-License-Identifier: GPL-3.0-or-later
//
// `routerd status`: what the running daemon says of itself.

import ArgumentParser
import ControlProtocol
import RouterDaemon

struct StatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Shows profile, softwire, ports and dropped packets.",
    discussion: "Exits with 1 if the softwire is not up.")

  @Flag(help: "Print JSON.") var json = false
  @OptionGroup var options: ConfigurationOptions

  func run() async throws {
    try await verb {
      let status = try options.askDaemon(.status, configuration: try options.load())
      if json {
        print(String(decoding: try JSON.encode(status), as: UTF8.self))
      } else {
        printColumns(rows(status))
        for warning in status.warnings { print("warning: \(warning)") }
      }
      guard status.state == .up else { throw ExitCode(ExitStatus.failure.rawValue) }
    }
  }

  private func rows(_ status: StatusReport) -> [[String]] {
    var rows = [["state", [status.state.rawValue, status.reason].compactMap { $0 }.joined(separator: ": ")]]
    let requested = status.requestedProfile
    rows.append(["profile", status.profile.map { $0 == requested ? $0 : "\($0) (\(requested))" } ?? requested])
    rows.append(["WAN", ([status.wan] + status.prefixes).joined(separator: " ")])
    if let line = status.line, !line.routers.isEmpty || !line.prefixes.isEmpty {
      rows.append(["routers", line.routers.joined(separator: " ")])
      rows.append(["resolvers", line.resolvers.joined(separator: " ")])
    }
    for source in status.sources {
      let outcome = [source.state.rawValue, source.reason].compactMap { $0 }.joined(separator: ": ")
      rows.append(["asked", "\(source.name): \(outcome)"])
    }
    if let softwire = status.softwire {
      rows += softwire.rows
      rows.append([
        "devices", "\(softwire.devices.joined(separator: " ")) (\(status.dataplane ?? ""), MTU \(softwire.mtu))",
      ])
    }
    rows += status.relays.enumerated().map { number, relay in [number == 0 ? "relays" : "", text(relay)] }
    let dropped = status.counters.filter { $0.value > 0 }.sorted { $0.key < $1.key }
    rows.append([
      "dropped", dropped.isEmpty ? "nothing" : dropped.map { "\($0.key) \($0.value)" }.joined(separator: ", "),
    ])
    return rows
  }

  private func text(_ relay: RelayReport) -> String {
    let use = relay.isInUse ? " in use" : ""
    let answer =
      relay.secondsSinceAnswer.map { "answered through the tunnel \($0) s ago" } ?? "carried nothing back yet"
    let echo =
      switch relay.answersEcho {
      case true?: "answers echo"
      case false?: relay.secondsSinceEcho.map { "answered echo last \($0) s ago" } ?? "does not answer echo"
      case nil: "echo not known yet"
      }
    return "\(relay.address)\(use): \(answer), \(echo)"
  }
}
