// SPDX-License-Identifier: GPL-3.0-or-later
//
// `routerd ports`: the ports of the line, and who uses them.

import ArgumentParser
import ControlProtocol
import RouterDaemon

struct PortsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ports", abstract: "Shows the line's ports and who uses them.",
    discussion: "All ports are those that the world sees; conntrack shows others.")

  @Flag(help: "Print JSON.") var json = false
  @OptionGroup var options: ConfigurationOptions

  func run() async throws {
    try await verb {
      let report = try options.askDaemonForPorts(configuration: try options.load())
      if json {
        print(String(decoding: try JSON.encode(report), as: UTF8.self))
      } else {
        show(report)
      }
    }
  }

  private func show(_ report: PortsReport) {
    let ranges = report.portRanges.map { "\($0[0])-\($0[1])" }.joined(separator: " ")
    let used = [("tcp", "TCP"), ("udp", "UDP"), ("icmp", "ping")].map { key, name in
      "\(name) \(report.protocols[key]?.ports ?? 0)"
    }
    printColumns([
      ["IPv4 address", report.address], ["ports", "\(report.portCount): \(ranges)"],
      ["in use", used.joined(separator: ", ")],
    ])
    show("forwarded", report.forwards, of: ["port", "to", "connections"]) {
      ["\($0.protocol) \($0.external)", $0.internal, "\($0.connections)"]
    }
    show("most used towards", report.destinations, of: ["destination", "ports of \(report.choosable)"]) {
      [$0.protocol == "icmp" ? "ping \($0.address)" : "\($0.protocol) \($0.address):\($0.port)", "\($0.ports)"]
    }
    show("most used by", report.hosts, of: ["host", "ports", "connections"]) {
      [$0.address == report.address ? "this router" : $0.address, "\($0.ports)", "\($0.connections)"]
    }
  }

  private func show<Item>(_ title: String, _ items: [Item], of head: [String], row: (Item) -> [String]) {
    guard !items.isEmpty else { return }
    print("\n\(title)")
    printColumns(([head] + items.map(row)).map { [""] + $0 })
  }
}
