// SPDX-License-Identifier: GPL-3.0-or-later
//
// What opens ports to the world: forwards, and on request the ports that somebody here has sent from.
//
// Packets from the softwire have private ports by then. Whoever is on this side and writes to our own address (it has the
// name that the world uses) means a real port. The two are the same where the private range is apart from the set;
// elsewhere there are maps for both. Such a host must not be answered directly, because the answer would come from an
// address that it never wrote to: so its source becomes the router's, and the answer comes through here.
//
// Endpoint-independent filtering (RFC 4787 §5) for UDP: a port that a socket on this side has sent from lets everybody
// in, to that socket, for as long as it goes on sending. That is a map from private port to socket which the rules fill
// themselves. The kernel may give one port to two sockets that write to different servers. The map knows the first of
// them; `owners` remembers who that is, so that the second does not keep alive what is not its own, and gets the port
// when the first has fallen silent.

internal import NFTables
internal import RouterKit

/// The chains and sets of what comes in without having been asked for by an outgoing packet to just that sender.
struct ForwardingChains {
  let address: IPv4Address
  /// The private ports, unless the whole address is ours.
  let range: PrivateRange?
  let forwards: [PortForward]
  /// Who the address and the ports belong to, if UDP is filtered independently of endpoints, and for how long.
  let cone: DynamicSet?

  var sets: [NamedSet] {
    func map(_ name: String, _ transport: PortForward.TransportProtocol, _ port: (UInt16) -> UInt16) -> NamedSet {
      let pairs = forwards.filter { $0.protocols.contains(transport) }.map { forward in
        // The second port is filled up to four bytes, as every part of a joint value.
        (port(forward.external).networkBytes, forward.address.bytes + forward.port.networkBytes + [0, 0])
      }
      return NamedSet(name: name, from: .port, to: .ipv4Endpoint, Dictionary(pairs) { first, _ in first })
    }
    let forwarded = PortForward.TransportProtocol.allCases.flatMap { transport in
      [map(SetName.forwarded(transport), transport, privatePort)]
        + (isOneMap ? [] : [map(SetName.forwardedHere(transport), transport) { $0 }])
    }
    guard let cone else { return forwarded }
    return forwarded + [
      NamedSet(name: SetName.cone, from: .port, to: .ipv4Endpoint, cone),
      NamedSet(name: SetName.owners, from: .portAndIPv4Endpoint, cone),
    ]
  }

  var chains: [Chain] {
    [destinationNAT, local, hairpin, TimeoutChain.chain] + (cone == nil ? [] : [mapping])
  }

  private var isOneMap: Bool { range?.isApart ?? true }

  private func privatePort(_ real: UInt16) -> UInt16 {
    range?.slots.first { $0.real == real }?.private ?? real
  }

  // MARK: In

  private var destinationNAT: Chain {
    let notFromSoftwire: Words = [
      .meta(.inputName, into: .r1), .lookup(.r1, set: SetName.softwires, isInverted: true),
    ]
    let everybody: [Rule] =
      cone == nil
      ? []
      : [
        Rule(
          .fromSoftwire + .isIPv4 + .isProtocol(ProtocolNumber.udp) + translate(by: SetName.cone),
          comment: "UDP from anybody to a port that is in use")
      ]
    return Chain(
      name: "dstnat", base: BaseChain(hook: .prerouting, priority: -100, kind: .nat),
      rules: PortForward.TransportProtocol.allCases.map { transport in
        Rule(
          .fromSoftwire + .isIPv4 + .isProtocol(transport.number) + translate(by: SetName.forwarded(transport)),
          comment: "forwarded ports of \(transport)")
      } + everybody + fromThisSide(notFromSoftwire))
  }

  /// The router's own connections to its address.
  private var local: Chain {
    Chain(
      name: "dstnat_local", base: BaseChain(hook: .output, priority: -100, kind: .nat), rules: fromThisSide([]))
  }

  private func fromThisSide(_ condition: Words) -> [Rule] {
    PortForward.TransportProtocol.allCases.map { transport in
      Rule(
        condition + .isIPv4 + .is(.ipv4Destination, address.bytes) + .isProtocol(transport.number)
          + translate(by: isOneMap ? SetName.forwarded(transport) : SetName.forwardedHere(transport)),
        comment: "the same from this side, \(transport)")
    }
  }

  /// Translates the destination to what the map has for the port.
  private func translate(by map: String) -> Words {
    [
      .payload(.destinationPort, into: .r1), .map(.r1, map: map, into: .r1),
      .nat(NAT(.destination, address: .r1, ports: .init(first: .r1Second, last: .r1Second))),
    ]
  }

  private var hairpin: Chain {
    let fromHere: Words = [.meta(.inputName, into: .r1), .lookup(.r1, set: SetName.softwires, isInverted: true)]
    let toHere: Words = [.meta(.outputName, into: .r1), .lookup(.r1, set: SetName.softwires, isInverted: true)]
    return Chain(
      name: "hairpin", base: BaseChain(hook: .postrouting, priority: 90, kind: .nat),
      rules: [
        Rule(
          fromHere + toHere + .isIPv4 + .hasStatus(.destinationNAT)
            + [
              .connectionEnd(.ipv4Destination, .original, into: .r1), .compare(.r1, .equal, address.bytes), .masquerade,
            ], comment: "from this side to this side: answers come through the router")
      ])
  }

  // MARK: Out

  /// What is done with each IPv4 packet that leaves by the softwire, after translation and before real ports are put in.
  var opening: [Rule] {
    [Rule(.hasState(.new) + .jump(TimeoutChain.name), comment: "how long silence may last")]
      + (cone == nil
        ? [] : [Rule(.isProtocol(ProtocolNumber.udp) + .jump("mapping"), comment: "who may be written to")])
  }

  private var mapping: Chain {
    func socket(_ direction: ConnectionDirection) -> Words {
      [
        .payload(.sourcePort, into: .r1), .connectionEnd(.ipv4Source, direction, into: .r1Second),
        .connectionEnd(.sourcePort, direction, into: .r1Third), .connectionEnd(.ipv4Source, direction, into: .r2),
        .connectionEnd(.sourcePort, direction, into: .r2Second),
      ]
    }
    let keep: Words = [
      .update(set: SetName.owners, key: .r1, data: nil), .update(set: SetName.cone, key: .r1, data: .r2),
    ]
    let done: Words = [.verdict(.return)]
    let isOwners: Words = [.lookup(.r1, set: SetName.owners, isInverted: false)]
    // Forwarded ports are outside the range; they are not for others to take.
    let foreign: [Rule] =
      range.map { range in
        [(Comparison.less, range.ports.lowerBound), (.greater, range.ports.upperBound)].map { comparison, port in
          Rule(
            [.payload(.sourcePort, into: .r1), .compare(.r1, comparison, port.networkBytes)] + done,
            comment: "a forwarded port")
        }
      } ?? []
    return Chain(
      name: "mapping",
      rules: foreign + [
        Rule(socket(.original) + isOwners + keep + done, comment: "the socket goes on sending"),
        Rule(socket(.reply) + isOwners + keep + done, comment: "it answers somebody who wrote first"),
        Rule(
          [.payload(.sourcePort, into: .r1), .map(.r1, map: SetName.cone, into: .r3)] + done,
          comment: "the port is another's"),
        Rule(
          [.connection(.direction, into: .r1), .compare(.r1, .equal, [ConnectionDirection.original.rawValue])]
            + socket(.original) + keep, comment: "a new socket"),
      ])
  }
}
