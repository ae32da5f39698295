// SPDX-License-Identifier: GPL-3.0-or-later
//
// `routerd profile list|show|set`: which profiles there are, which one is used, and the change of it. `set` writes a
// file of its own into conf.d, so that the operator's file stays as it is, and tells a running daemon.

import ArgumentParser
import ControlProtocol
import RouterCore
import RouterDaemon
import RouterKit

struct ProfileCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "profile", abstract: "Lists, shows or sets the ISP profile.",
    subcommands: [List.self, Show.self, Set.self])

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list", abstract: "Lists the profiles that can be set.")

    @OptionGroup var options: ConfigurationOptions

    func run() async throws {
      try await verb {
        let configuration = try options.loadIfPresent()
        let catalog = ProfileCatalog(options.plugins(configuration).profiles)
        guard !catalog.profiles.isEmpty else {
          throw Failure(.failure, "no profile plugin is loaded; see routerd plugins")
        }
        let chosen = configuration.profile.description
        printColumns(
          ([("auto", "the profile whose rule matches the line")] + catalog.profiles.map { ($0.id.name, $0.title) })
            .map { [$0.0 == chosen ? "*" : " ", $0.0, $0.1] })
      }
    }
  }

  struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "show", abstract: "Shows which profile is set, and what it gives on this line.")

    @OptionGroup var options: ConfigurationOptions

    func run() async throws {
      try await verb {
        let configuration = try options.load()
        let catalog = ProfileCatalog(options.plugins(configuration).profiles)
        print("set: \(configuration.profile)")
        let facts = try options.facts(configuration)
        let selection: Selection
        do throws(SelectionError) {
          selection = try catalog.select(
            configuration.profile, facts: facts, settings: configuration.profileSettings)
        } catch  where error.isPrefixMissing {
          print("on this line: \(error)")
          return
        } catch {
          throw Failure(error.isMismatch ? .noMatchingRule : .failure, error.description)
        }
        print("on this line: \(selection.profile.id.name), \(selection.profile.title)")
        printColumns(SoftwireReport(selection.softwire, devices: [], mtu: configuration.softwire.mtu).rows)
        if let obstacle = selection.obstacle { throw Failure(.failure, obstacle.description) }
      }
    }
  }

  struct Set: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "set", abstract: "Sets the profile, now and for later starts.",
      discussion: "A profile without a rule for this line's prefix is refused, unless --force is given.")

    @Argument(help: "The name of a profile, or auto.") var name: String
    @Flag(help: "Set it even if it does not fit the line.") var force = false
    @OptionGroup var options: ConfigurationOptions

    func run() async throws {
      try await verb {
        let configuration = try options.load()
        let choice = ProfileChoice(name)
        try check(choice, configuration)
        do {
          try ProfileDropIn(options.file).write(choice)
        } catch {
          throw Failure(.failure, "\(error)")
        }
        let now = try options.load().profile
        guard now == choice else {
          throw Failure(
            .failure,
            "profile \(name) is written to \(ProfileDropIn(options.file).path), but a file that comes later in that folder "
              + "sets the profile \(now), which counts; remove it there")
        }
        print("profile \(name) is set")
        guard let status = try options.tellDaemon(.reload, configuration: configuration) else {
          print("no daemon runs; it counts from the next start")
          return
        }
        try await report(status, configuration)
      }
    }

    private func check(_ choice: ProfileChoice, _ configuration: Configuration) throws {
      let catalog = ProfileCatalog(options.plugins(configuration).profiles)
      if case .named(let name) = choice {
        do {
          _ = try catalog.profile(named: name)
        } catch {
          throw Failure(.badArgument, error.description)
        }
      }
      let facts = try options.facts(configuration)
      guard !facts.prefixes.isEmpty else {
        print("the line has no global prefix now, so whether \(choice) has a rule for it cannot be told yet")
        return
      }
      var problem: (ExitStatus, String)?
      do throws(SelectionError) {
        let selection = try catalog.select(choice, facts: facts, settings: configuration.profileSettings)
        problem = selection.obstacle.map { (.failure, $0.description) }
      } catch {
        problem = (error.isMismatch ? .noMatchingRule : .failure, error.description)
      }
      guard let problem else { return }
      guard force else {
        throw Failure(problem.0, "\(problem.1). Nothing is changed; --force sets it all the same")
      }
      printError(problem.1)
    }

    /// The switch takes as long as duplicate address detection; what came of it is worth the wait.
    private func report(_ first: StatusReport, _ configuration: Configuration) async throws {
      var status = first
      let deadline = ContinuousClock.now + .seconds(15)
      while status.state == .waiting, ContinuousClock.now < deadline {
        try await Task.sleep(for: .milliseconds(100))
        status = try options.askDaemon(.status, configuration: configuration)
      }
      guard status.state == .up, let softwire = status.softwire else {
        let text = "\(status.state.rawValue)\(status.reason.map { ": \($0)" } ?? "")"
        guard force else { throw Failure(.failure, "the daemon took it over and is not up: \(text)") }
        print("the daemon took it over: \(text)")
        return
      }
      print("the daemon is up with \(status.profile ?? name):")
      printColumns(softwire.rows)
    }
  }
}
