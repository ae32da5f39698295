// SPDX-License-Identifier: GPL-3.0-or-later
//
// Who uses which ports of the line; `routerd ports --json` prints it as it is. All ports are those that the world sees.

/// The ports of the line, and what they are used for.
public struct PortsReport: Codable, Hashable, Sendable {
  /// The IPv4 address.
  public var address: String
  /// The ports of this router, as pairs of first and last.
  public var portRanges: [[Int]]
  /// How many ports that are.
  public var portCount: Int
  /// How many of them are free to be chosen: those that are not forwarded. So many connections are possible at a time
  /// to one address and port.
  public var choosable: Int
  /// The ports in use by protocol: "tcp", "udp", "icmp" (identifiers).
  public var protocols: [String: ProtocolUse]
  /// The addresses and ports to which most ports are in use, the most first.
  public var destinations: [DestinationUse]
  /// The hosts on this side that have most ports in use, the most first.
  public var hosts: [HostUse]
  /// The forwarded ports.
  public var forwards: [ForwardUse]

  /// The ports that one protocol uses.
  public struct ProtocolUse: Codable, Hashable, Sendable {
    /// How many different ports.
    public var ports: Int
    /// How many connections.
    public var connections: Int
    /// The ports, as pairs of first and last; absent if there are too many to tell.
    public var ranges: [[Int]]?

    /// Makes the use of a protocol.
    public init(ports: Int, connections: Int, ranges: [[Int]]?) {
      self.ports = ports
      self.connections = connections
      self.ranges = ranges
    }
  }

  /// The ports in use towards one address and port.
  public struct DestinationUse: Codable, Hashable, Sendable {
    /// "tcp", "udp" or "icmp".
    public var `protocol`: String
    /// The address.
    public var address: String
    /// The port; 0 with ICMP.
    public var port: Int
    /// How many ports of the line; each is one connection.
    public var ports: Int

    /// Makes the use of a destination.
    public init(protocol: String, address: String, port: Int, ports: Int) {
      self.protocol = `protocol`
      self.address = address
      self.port = port
      self.ports = ports
    }
  }

  /// The ports in use by one host on this side.
  public struct HostUse: Codable, Hashable, Sendable {
    /// The address; the line's own for the router itself.
    public var address: String
    /// How many ports of the line, each protocol counted for itself.
    public var ports: Int
    /// How many connections.
    public var connections: Int

    /// Makes the use of a host.
    public init(address: String, ports: Int, connections: Int) {
      self.address = address
      self.ports = ports
      self.connections = connections
    }
  }

  /// A forwarded port.
  public struct ForwardUse: Codable, Hashable, Sendable {
    /// "tcp" or "udp".
    public var `protocol`: String
    /// The port that the world sees.
    public var external: Int
    /// The address and port on this side.
    public var `internal`: String
    /// How many connections have come in.
    public var connections: Int

    /// Makes the use of a forward.
    public init(protocol: String, external: Int, internal: String, connections: Int) {
      self.protocol = `protocol`
      self.external = external
      self.internal = `internal`
      self.connections = connections
    }
  }

  /// Makes a report.
  public init(
    address: String, portRanges: [[Int]], portCount: Int, choosable: Int, protocols: [String: ProtocolUse],
    destinations: [DestinationUse], hosts: [HostUse], forwards: [ForwardUse]
  ) {
    self.address = address
    self.portRanges = portRanges
    self.portCount = portCount
    self.choosable = choosable
    self.protocols = protocols
    self.destinations = destinations
    self.hosts = hosts
    self.forwards = forwards
  }
}
