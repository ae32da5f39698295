// SPDX-License-Identifier: GPL-3.0-or-later
//
// Which connections a change of the table breaks. Their packets would go on under another port, or to nobody, until they
// time out; forgotten, they start afresh. All others must not notice.

public import NFTables

/// The connections of the shared address that a change of the table breaks.
public enum StaleFlows: Hashable, Sendable {
  /// All of them.
  case all
  /// Those that have one of these private ports; maybe none.
  case ports(Set<UInt16>)

  /// Compares two tables of one address. What `old` lacks because somebody damaged it breaks nothing.
  public init(from old: Table, to new: Table) {
    let before = PortMeaning(old)
    let after = PortMeaning(new)
    guard before.realPorts.isSubset(of: after.realPorts) || after.realPorts.isEmpty else {
      self = .all
      return
    }
    var ports = Set<UInt16>()
    for (port, real) in before.realByPrivate where after.realByPrivate[port] != real { ports.insert(port) }
    for (name, targets) in before.targets {
      // A forward that ended, or leads elsewhere now.
      for (port, target) in targets where after.targets[name]?[port] != target { ports.insert(port) }
    }
    self = .ports(ports)
  }
}

/// What the ports of a table stand for.
private struct PortMeaning {
  var realPorts: Set<UInt16> = []
  var realByPrivate: [UInt16: UInt16] = [:]
  var targets: [String: [UInt16: [UInt8]]] = [:]

  init(_ table: Table) {
    func elements(_ name: String) -> [UInt16: [UInt8]]? {
      table.sets.first { $0.name == name }.map { set in
        Dictionary(set.elements.map { (Self.port($0.key), $0.value) }) { first, _ in first }
      }
    }
    realPorts = Set((elements(SetName.realPorts) ?? [:]).keys)
    if let map = elements(SetName.privateToReal) {
      realByPrivate = map.mapValues(Self.port)
    } else {
      realByPrivate = Dictionary(uniqueKeysWithValues: realPorts.map { ($0, $0) })
    }
    for transport in PortForward.TransportProtocol.allCases {
      targets[SetName.forwarded(transport)] = elements(SetName.forwarded(transport))
    }
  }

  private static func port(_ bytes: [UInt8]) -> UInt16 {
    bytes.reduce(0) { $0 << 8 | UInt16($1) }
  }
}
