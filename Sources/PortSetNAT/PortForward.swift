// SPDX-License-Identifier: GPL-3.0-or-later
//
// A port that is open to the world.

public import RouterKit

/// A port of the shared address, and who answers there.
public struct PortForward: Hashable, Sendable {
  /// What can be forwarded.
  public enum TransportProtocol: String, CaseIterable, Hashable, Sendable, Comparable {
    case tcp, udp

    /// The number in IP headers.
    public var number: UInt8 {
      switch self {
      case .tcp: ProtocolNumber.tcp
      case .udp: ProtocolNumber.udp
      }
    }

    /// By name.
    public static func < (a: Self, b: Self) -> Bool {
      a.rawValue < b.rawValue
    }
  }

  /// The protocols; at least one.
  public let protocols: Set<TransportProtocol>
  /// The port that the world sees.
  public let external: UInt16
  /// The host on this side, which may be an address of the router itself.
  public let address: IPv4Address
  /// The port there.
  public let port: UInt16

  /// Describes a forward.
  public init(_ protocols: Set<TransportProtocol>, external: UInt16, to address: IPv4Address, port: UInt16) {
    self.protocols = protocols
    self.external = external
    self.address = address
    self.port = port
  }
}

extension NATSpec.Kind {
  /// Those of `forwards` that are possible, and for each of the others a sentence for a person.
  func admit(_ forwards: [PortForward]) -> (admitted: [PortForward], problems: [String]) {
    var admitted: [PortForward] = []
    var problems: [String] = []
    for forward in forwards {
      let others = Set(admitted.map(\.external)).subtracting([forward.external])
      if let obstacle = obstacle(to: forward, besides: others.count) {
        problems.append("port \(forward.external) cannot be forwarded: \(obstacle)")
      } else {
        admitted.append(forward)
      }
    }
    return (admitted, problems)
  }

  private func obstacle(to forward: PortForward, besides others: Int) -> String? {
    switch self {
    case .dsLite:
      return "with DS-Lite the AFTR translates, and no port of its address is this router's"
    case .mapE(let address, let set?):
      guard set.contains(forward.external) else {
        return set.count == 0
          ? "this line has no port of \(address) at all"
          : "it is not one of this line's \(set.count) ports of \(address), which are \(set)"
      }
      return others + 1 < set.count ? nil : "it is the last one, and connections to the outside need one, too"
    case .mapE(_, nil):
      return nil
    }
  }
}
