// SPDX-License-Identifier: GPL-3.0-or-later
//
// A profile's table of mapping rules, and the text form in which it lies beside the plugin.
//
// The text is line based so that people can read, compare and correct it. A line is blank, a comment behind `#`, or one
// of these:
//
//   routerd-rules 1                                        the first line: what this is, and the version of the form
//   source NAME TEXT…                                      where figures come from
//   rule IPV6 IPV4 ea N offset N psid N iid FORMAT br ADDRESS [mesh] confidence LEVEL from NAME[,NAME…]
//   hint IPV6 TEXT…                                        what a line inside that prefix is, if no rule matches
//
// A table that does not parse is refused whole: a router that runs with half its rules fails in ways nobody can follow.

/// How well a rule is supported.
public enum RuleConfidence: String, Hashable, Sendable, CaseIterable {
  /// Two independent sources, or seen on a line.
  case verified
  /// One lineage for the value, an independent check of its structure.
  case structureVerified = "structure-verified"
  /// One source.
  case singleSource = "single-source"
  /// Extrapolated by somebody and never seen on a line; used only when the operator asks for it.
  case unconfirmed
}

/// A mapping rule together with how it is known.
public struct RuleTableEntry: Hashable, Sendable {
  /// The rule.
  public let rule: MappingRule
  /// How well it is supported.
  public let confidence: RuleConfidence
  /// The names of its sources, as listed in the table.
  public let sources: [String]
}

/// The mapping rules of one ISP.
public struct RuleTable: Hashable, Sendable {
  /// The rules in the order of the text.
  public private(set) var entries: [RuleTableEntry] = []
  /// What lines without a rule are, by prefix.
  public private(set) var hints: [LineHint] = []
  /// Where the figures come from: name and description.
  public private(set) var sources: [String: String] = [:]

  /// What is known of the lines inside a prefix.
  public struct LineHint: Hashable, Sendable {
    /// The prefix.
    public let prefix: IPv6Prefix
    /// What such a line is, as a sentence.
    public let text: String
  }

  /// The version of the text form that this SDK reads.
  public static let textVersion = 1

  /// A table without a rule, for profiles that learn all of theirs.
  public static let empty = RuleTable()

  private init() {}

  /// Parses the text form.
  /// - Parameter bytes: UTF-8 text of at most 4 MiB.
  /// - Throws: ``RuleTableError`` with the line and what is wrong in it.
  public init(parsing bytes: some Collection<UInt8>) throws(RuleTableError) {
    guard bytes.count <= 4 << 20 else { throw RuleTableError(line: 0, "a rule table has at most 4 MiB") }
    var isHeaderSeen = false
    for (index, line) in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
      let content = String(decoding: line.prefix { $0 != UInt8(ascii: "#") }, as: UTF8.self)
      let words = content.split { $0 == " " || $0 == "\t" || $0 == "\r" }
      guard let keyword = words.first else { continue }
      do throws(Problem) {
        guard isHeaderSeen else {
          guard keyword == "routerd-rules", words.count == 2, words[1] == "\(Self.textVersion)" else {
            throw Problem("a rule table begins with “routerd-rules \(Self.textVersion)”")
          }
          isHeaderSeen = true
          continue
        }
        switch keyword {
        case "source":
          guard words.count >= 3 else { throw Problem("a source has a name and a text") }
          sources[String(words[1])] = words[2...].joined(separator: " ")
        case "rule":
          entries.append(try Self.entry(words.dropFirst()))
        case "hint":
          guard words.count >= 3 else { throw Problem("a hint has a prefix and a text") }
          hints.append(
            LineHint(prefix: try Self.parse(words[1], IPv6Prefix.init), text: words[2...].joined(separator: " ")))
        default:
          throw Problem("“\(keyword.prefix(20))” is none of source, rule and hint")
        }
      } catch {
        throw RuleTableError(line: index + 1, error.text)
      }
    }
    guard isHeaderSeen else { throw RuleTableError(line: 1, "the table is empty") }
    for entry in entries {
      for source in entry.sources where sources[source] == nil {
        throw RuleTableError(
          line: 0, "the rule for \(entry.rule.ipv6Prefix) names a source that is not listed: \(source)")
      }
    }
  }

  /// The rules that may be used.
  /// - Parameter includingUnconfirmed: whether rules that nobody has seen on a line count.
  public func rules(includingUnconfirmed: Bool) -> [MappingRule] {
    entries.filter { includingUnconfirmed || $0.confidence != .unconfirmed }.map(\.rule)
  }

  /// What a line inside `prefix` is, by the longest hint that holds it.
  public func hint(for prefix: IPv6Prefix) -> String? {
    hints.filter { $0.prefix.contains(prefix) }.max { $0.prefix.length < $1.prefix.length }?.text
  }

  private struct Problem: Error {
    let text: String
    init(_ text: String) { self.text = text }
  }

  private static func parse<Value>(
    _ word: Substring, _ read: (Substring) throws(AddressError) -> Value
  ) throws(Problem) -> Value {
    do { return try read(word) } catch { throw Problem(error.description) }
  }

  private static func entry(_ words: ArraySlice<Substring>) throws(Problem) -> RuleTableEntry {
    var rest = words
    func next(_ what: String) throws(Problem) -> Substring {
      guard let word = rest.popFirst() else { throw Problem("\(what) is missing") }
      return word
    }
    func number(_ what: String) throws(Problem) -> Int {
      let word = try next("the number behind \(what)")
      guard word.utf8.count <= 3, let value = Int(word), value >= 0 else {
        throw Problem("“\(word.prefix(20))” behind \(what) is not a number")
      }
      return value
    }
    let ipv6Prefix = try parse(next("the IPv6 prefix"), IPv6Prefix.init)
    let ipv4Prefix = try parse(next("the IPv4 prefix"), IPv4Prefix.init)
    var numbers: [Substring: Int] = [:]
    var format: InterfaceIdentifierFormat?
    var relay: IPv6Address?
    var confidence: RuleConfidence?
    var sources: [String] = []
    var isForwarding = false
    while let word = rest.popFirst() {
      switch word {
      case "ea", "offset", "psid":
        numbers[word] = try number(String(word))
      case "iid":
        let name = try next("the layout behind iid")
        format = InterfaceIdentifierFormat(rawValue: String(name))
        guard format != nil else { throw Problem("“\(name.prefix(20))” is neither rfc7597 nor draft-03") }
      case "br":
        relay = try parse(next("the address behind br"), IPv6Address.init)
      case "mesh":
        isForwarding = true
      case "confidence":
        let level = try next("the level behind confidence")
        confidence = RuleConfidence(rawValue: String(level))
        guard confidence != nil else {
          throw Problem(
            "“\(level.prefix(20))” is none of \(RuleConfidence.allCases.map(\.rawValue).joined(separator: ", "))")
        }
      case "from":
        sources = try next("the source behind from").split(separator: ",").map(String.init)
      default:
        throw Problem("“\(word.prefix(20))” has no meaning in a rule")
      }
    }
    guard let ea = numbers["ea"], let offset = numbers["offset"], let format, let confidence, let relay else {
      throw Problem("a rule needs ea, offset, iid, br and confidence")
    }
    do {
      let rule = try MappingRule(
        ipv6Prefix: ipv6Prefix, ipv4Prefix: ipv4Prefix, eaBitsLength: ea, psidOffset: offset,
        psidLength: numbers["psid"], identifierFormat: format, borderRelay: relay, isForwarding: isForwarding)
      return RuleTableEntry(rule: rule, confidence: confidence, sources: sources)
    } catch {
      throw Problem(error.description)
    }
  }
}

/// A rule table that cannot be used.
public struct RuleTableError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The line, counted from 1; 0 where the fault is in no single line.
  public let line: Int
  /// What is wrong.
  public let reason: String

  init(line: Int, _ reason: String) {
    self.line = line
    self.reason = reason
  }

  /// The text for people.
  public var description: String {
    line == 0 ? reason : "line \(line): \(reason)"
  }
}
