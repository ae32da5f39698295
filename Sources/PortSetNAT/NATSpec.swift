// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the table depends on.

public import NFTables
public import RouterKit

/// What the table `inet routerd` depends on, and nothing else.
public struct NATSpec: Hashable, Sendable {
  /// The two kinds of softwire.
  public enum Kind: Hashable, Sendable {
    /// MAP-E or a fixed address: this router translates to `address` and, if the address is shared, to the ports of `portSet`; with no set
    /// the whole address is ours.
    case mapE(address: IPv4Address, portSet: PortSet?)
    /// DS-Lite: the AFTR translates.
    case dsLite
  }

  /// The names of the softwire's devices, sorted.
  public let devices: [String]
  /// The CE or B4 address: the outer destination of everything that comes in.
  public let localAddress: IPv6Address
  /// The outer sources that are let in, sorted; unless ``admitsMesh``.
  public let relays: [IPv6Address]
  /// Whether other CEs may send to us directly. The dataplane then checks outer sources by the mapping rules, and the
  /// table lets them all pass but our own.
  public let admitsMesh: Bool
  /// MAP-E or DS-Lite.
  public let kind: Kind
  /// The forwarded ports, as far as they are possible.
  public let forwards: [PortForward]
  /// Why the others are not, as sentences.
  public let problems: [String]
  /// Who may write to a UDP port that is in use.
  public let filtering: Filtering
  /// How long connections may be silent.
  public let timeouts: FlowTimeouts
  /// Whether the daemon sends echo requests into the softwire past this table, and takes their answers off the wire.
  public let isProbed: Bool

  /// Who may write to a UDP port that somebody here has sent from (RFC 4787 §5).
  public enum Filtering: String, Hashable, Sendable, CaseIterable {
    /// Those who were written to, from the port that was written to.
    case addressAndPortDependent = "address-and-port-dependent"
    /// Everybody.
    case endpointIndependent = "endpoint-independent"
  }

  /// Describes a table; the order of devices and relays has no meaning.
  public init(
    devices: [String], localAddress: IPv6Address, relays: [IPv6Address], admitsMesh: Bool = false, kind: Kind,
    forwards: [PortForward] = [], filtering: Filtering = .addressAndPortDependent,
    timeouts: FlowTimeouts = FlowTimeouts(), isProbed: Bool = false
  ) {
    self.devices = Array(Set(devices)).sorted()
    self.localAddress = localAddress
    self.relays = Array(Set(relays)).sorted()
    self.admitsMesh = admitsMesh
    self.kind = kind
    (self.forwards, problems) = kind.admit(forwards)
    self.filtering = filtering
    self.timeouts = timeouts
    self.isProbed = isProbed
  }

  /// The ICMP identifier of probes. On a shared address it is the port of the set that stands last in the private range;
  /// pings that are translated do without that one, TCP and UDP have it.
  public var probeIdentifier: UInt16 {
    guard case .mapE(_, let portSet?) = kind, let range = privateRange(for: portSet) else { return .max }
    return range.slots[range.ports.count - 1].real
  }

  func privateRange(for portSet: PortSet) -> PrivateRange? {
    PrivateRange(for: portSet, reserving: forwards.map(\.external))
  }

  /// Whether this router translates.
  public var translates: Bool { kind != .dsLite }

  /// The name of routerd's table.
  public static let tableName = "routerd"

  /// The table.
  public var table: Table {
    switch kind {
    case .dsLite:
      let common = SoftwireChains(spec: self, nat: nil)
      return Table(
        name: Self.tableName, comment: "DS-Lite, made by routerd", counters: [DropReason.wrongOuterSource.rawValue],
        sets: common.sets, chains: common.chains)
    case .mapE(let address, let portSet):
      let nat = TranslationChains(address: address, portSet: portSet, spec: self)
      let common = SoftwireChains(spec: self, nat: nat)
      return Table(
        name: Self.tableName, comment: "MAP-E, made by routerd",
        counters: Set(nat.counters.map(\.rawValue) + [DropReason.wrongOuterSource.rawValue]),
        timeouts: timeouts.objects, sets: common.sets + nat.sets, chains: common.chains + nat.chains)
    }
  }
}

/// Why the table drops a packet; the raw values name its counters.
public enum DropReason: String, CaseIterable, Sendable {
  /// In: the inner destination is not our IPv4 address.
  case wrongInnerDestination = "wrong_inner_destination"
  /// In: the port or ICMP identifier is not in our set.
  case outsidePortSetIn = "outside_port_set_in"
  /// In: nothing on this side asked for the packet.
  case unsolicited = "unsolicited"
  /// Out: the source is not our address, or its port or ICMP identifier not in our set.
  case outsidePortSetOut = "outside_port_set_out"
  /// In: the outer source is none of the relays.
  case wrongOuterSource = "wrong_outer_source"
  /// Either way: an ICMP error quotes an IPv4 header with options, which hides the ports.
  case innerHeaderOptions = "inner_header_options"
  /// Either way: a protocol or ICMP type without ports or identifiers cannot share an address.
  case protocolWithoutPorts = "protocol_without_ports"
}
