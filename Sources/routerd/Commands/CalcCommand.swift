// SPDX-License-Identifier: GPL-3.0-or-later
//
// `routerd calc PREFIX`: the built-in calculator. It uses the same plugins and arithmetic as the daemon and touches
// nothing.

import ArgumentParser
import ControlProtocol
import RouterCore
import RouterDaemon
import RouterKit

struct CalcCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "calc", abstract: "Shows what a line with this IPv6 prefix gets.",
    discussion: "Exits with 3 if no rule matches, with the explanation.")

  @Argument(help: "The line's prefix, like 2404:7a82:4d02:4100::/56, or an interface's address with /128.")
  var prefix: String
  @Option(help: "Use this profile instead of the one whose rule matches.") var profile: String?
  @Flag(help: "Print JSON.") var json = false
  @OptionGroup var options: ConfigurationOptions

  func run() async throws {
    try await verb {
      let configuration: Configuration
      do {
        configuration = try options.loadIfPresent()
      } catch let failure as Failure {
        throw try report("configuration", failure.message, failure.status)
      }
      let prefix: IPv6Prefix
      do throws(AddressError) {
        prefix = try LinePrefix.parse(self.prefix)
      } catch {
        throw try report("invalid-prefix", error.description, .badArgument)
      }
      let plugins = options.plugins(configuration)
      let selection: Selection
      do throws(SelectionError) {
        selection = try ProfileCatalog(plugins.profiles).select(
          profile.map(ProfileChoice.init) ?? .automatic, facts: LineFacts(prefixes: [prefix]),
          settings: configuration.profileSettings)
      } catch {
        let status: ExitStatus = error.isMismatch ? .noMatchingRule : error.isPrefixTooShort ? .badArgument : .failure
        throw try report(error.code, error.description, status)
      }
      let calculation = Calculation(selection)
      if json {
        print(try JSON.encode(ordered: calculation.fields))
      } else {
        printColumns(calculation.rows)
      }
    }
  }

  /// With `--json` the error goes to standard output as JSON, too, where a program looks for it.
  private func report(_ code: String, _ message: String, _ status: ExitStatus) throws -> any Error {
    guard json else { return Failure(status, message) }
    print(try JSON.encode(ordered: [("error", ["code": code, "message": message])]))
    return ExitCode(status.rawValue)
  }
}

/// A softwire as the calculator shows it.
private struct Calculation {
  let profile: String
  let softwire: SoftwireReport
  let warning: String?

  init(_ selection: Selection) {
    profile = selection.profile.id.name
    softwire = SoftwireReport(selection.softwire, devices: [], mtu: 0)
    warning = selection.obstacle?.description
  }

  var fields: [(key: String, value: any Encodable)] {
    var fields: [(key: String, value: any Encodable)] = [("profile", profile)]
    if let rule = softwire.rule, let psid = softwire.psid {
      fields += [
        ("rule", rule), ("ipv4", softwire.ipv4), ("psid", psid), ("ceAddress", softwire.ceAddress),
        ("borderRelay", softwire.borderRelay), ("portRanges", softwire.portRanges), ("portCount", softwire.portCount),
      ]
    } else if softwire.kind == "fixed-ip" {
      fields += [
        ("ipv4", softwire.ipv4), ("localAddress", softwire.ceAddress), ("relay", softwire.borderRelay),
      ]
    } else {
      fields += [
        ("b4Address", softwire.ceAddress), ("aftr", softwire.borderRelay), ("ipv4", softwire.ipv4),
      ]
    }
    if let warning { fields.append(("warning", warning)) }
    return fields
  }

  var rows: [[String]] {
    var rows = [["profile", profile]] + softwire.rows
    if let warning { rows.append(["warning", warning]) }
    return rows
  }
}
