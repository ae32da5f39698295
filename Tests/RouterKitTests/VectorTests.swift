// SPDX-License-Identifier: GPL-3.0-or-later
//
// The golden vectors of independent implementations: generic layouts and mesh. The vectors of lines, which need the
// profiles' tables, are checked with the loaded plugins in RouterDaemonTests.

import FoundationEssentials
import RouterKit
import TestSupport
import Testing

struct VectorTests {
  private struct Vectors: Decodable {
    let generic_vectors: [Generic]

    struct Generic: Decodable {
      let name: String
      let user_prefix: String
      let rule: Rule
      let ce: [String: String]
      let ipv4: String
      let port_ranges: [[Int]]?
    }

    struct Rule: Decodable {
      let ipv6: String
      let ipv4: String
      let ea_bits: Int
      let psid_offset: Int
      let psid_len: Int
    }
  }

  @Test func genericLayouts() throws {
    let vectors = try JSONDecoder().decode(Vectors.self, from: Data(Fixture.bytes("Tests/Fixtures/vectors.json")))
    #expect(vectors.generic_vectors.count == 10)
    for vector in vectors.generic_vectors {
      for format in InterfaceIdentifierFormat.allCases {
        let rule = try MappingRule(
          ipv6Prefix: IPv6Prefix(vector.rule.ipv6), ipv4Prefix: IPv4Prefix(vector.rule.ipv4),
          eaBitsLength: vector.rule.ea_bits, psidOffset: vector.rule.psid_offset, psidLength: vector.rule.psid_len,
          identifierFormat: format)
        let prefix = try IPv6Prefix(vector.user_prefix)
        if vector.name == "user prefix shorter than rule + EA" {
          // RFC 7597 §5.2 makes it invalid; the implementation of the vector reads zeros for the missing bits.
          #expect(throws: MappingRuleError.self) { try rule.parameters(for: prefix) }
          continue
        }
        let parameters = try rule.parameters(for: prefix)
        #expect(parameters.ipv4Address.description == vector.ipv4, "\(vector.name)")
        #expect(parameters.ceAddress.description == vector.ce[format.rawValue], "\(vector.name)")
        let ranges = parameters.portSet?.blocks.map { [Int($0.lowerBound), Int($0.upperBound)] }
        #expect(ranges == vector.port_ranges, "\(vector.name)")
      }
    }
  }
}
