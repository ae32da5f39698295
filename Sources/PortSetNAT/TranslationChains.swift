// SPDX-License-Identifier: GPL-3.0-or-later
//
// The NAT of MAP-E.
//
//            wire: real ports                                inside: private ports
//   in    ─▶ from_softwire (−300): address and port ours?  ─▶ conntrack (−200) ─▶ dstnat (−100) ─▶ unsolicited
//            real → private
//   out  ◀─  leaving (300): address and port ours?         ◀─ srcnat (90)
//            private → real
//
// The two edges are stateless. Between them connection tracking sees one contiguous range, which is what its search for
// a free port can deal with (PrivateRange.swift). ICMP errors are about packets of the other direction, so the port that
// is rewritten in them is that of the packet they quote: the source coming in, the destination going out. TCP, UDP and
// ICMP are always whole here, since connection tracking puts fragments together at −400 and takes them apart on leaving.
//
// srcnat stands just before the place where everybody else has theirs (100): the first to translate wins, and a
// `masquerade` for all interfaces (Docker's) would use ports that are not ours. It goes by the device only, never by
// source addresses, so that containers and the router's own connections are covered.

internal import NFTables
internal import RouterKit

/// The chains, sets and counters of MAP-E.
struct TranslationChains {
  /// What of the address is ours.
  private enum Share {
    case wholeAddress
    /// No port at all; nothing passes.
    case nothing
    case ports(PrivateRange)
  }

  private let address: IPv4Address
  private let share: Share
  private let forwarding: ForwardingChains
  /// The identifier of the daemon's own echo requests, if it sends any.
  private let probeIdentifier: UInt16?

  init(address: IPv4Address, portSet: PortSet?, spec: NATSpec) {
    self.address = address
    probeIdentifier = spec.isProbed ? spec.probeIdentifier : nil
    let range = portSet.flatMap { spec.privateRange(for: $0) }
    share = portSet == nil ? .wholeAddress : range.map { .ports($0) } ?? .nothing
    // Another address or set makes another map: what is in this one would lead the world to wrong places.
    let owner = "\(address) \(portSet.map { "\($0.psidOffset)/\($0.psidLength)/\($0.psid)" } ?? "whole")"
    forwarding = ForwardingChains(
      address: address, range: range, forwards: spec.forwards,
      cone: spec.filtering == .endpointIndependent ? DynamicSet(timeout: spec.timeouts.udp, comment: owner) : nil)
  }

  private var range: PrivateRange? {
    if case .ports(let range) = share { range } else { nil }
  }

  private var isShared: Bool {
    if case .wholeAddress = share { false } else { true }
  }

  /// Whether real and private ports differ.
  var isRemapped: Bool {
    range.map { !$0.isIdentity } ?? false
  }

  var counters: [DropReason] {
    [.wrongInnerDestination, .unsolicited, .outsidePortSetOut]
      + (isShared ? [.outsidePortSetIn, .innerHeaderOptions, .protocolWithoutPorts] : [])
  }

  var sets: [NamedSet] {
    guard isShared else { return forwarding.sets }
    var sets =
      forwarding.sets + [
        NamedSet(name: SetName.portProtocols, of: .ipProtocol, [[ProtocolNumber.tcp], [ProtocolNumber.udp]]),
        NamedSet(
          name: SetName.sharingProtocols, of: .ipProtocol,
          [[ProtocolNumber.icmp], [ProtocolNumber.tcp], [ProtocolNumber.udp]]),
        NamedSet(name: SetName.echoTypes, of: .icmpType, [[0], [8]]),
        NamedSet(name: SetName.errorTypes, of: .icmpType, [[3], [11], [12]]),
        NamedSet(name: SetName.realPorts, of: .port, (range?.realPorts ?? []).map(\.networkBytes)),
      ]
    if let range, isRemapped {
      let pairs = range.slots.map { ($0.real.networkBytes, $0.private.networkBytes) }
      sets += [
        NamedSet(
          name: SetName.realToPrivate, from: .port, to: .port, Dictionary(pairs) { first, _ in first }),
        NamedSet(
          name: SetName.privateToReal, from: .port, to: .port,
          Dictionary(pairs.map { ($1, $0) }) { first, _ in first }),
      ]
    }
    return sets
  }

  var chains: [Chain] {
    let always =
      [fromSoftwire, input, unsolicited, sourceNAT, outbound, leaving] + forwarding.chains
    return isShared ? always + [quotedIn, quotedOut] : always
  }

  // MARK: In

  /// The edge, coming in.
  var arriving: [Rule] {
    [Rule(.isIPv4 + .fromSoftwire + .jump("from_softwire"), comment: "out of the softwire")]
  }

  private var fromSoftwire: Chain {
    var rules = [
      Rule(
        .isIPv4 + .isNot(.ipv4Destination, address.bytes) + .drop(.wrongInnerDestination), comment: "not to our address"
      )
    ]
    if let probeIdentifier {
      rules.append(
        Rule(
          .isProtocol(ProtocolNumber.icmp) + .is(.icmpType, [0]) + .is(.icmpIdentifier, probeIdentifier.networkBytes)
            + [.verdict(.drop)], comment: "answers to the daemon, which has them already"))
    }
    if isShared {
      rules += [
        Rule(.isProtocol(ProtocolNumber.tcp) + enter(.destinationPort, .transport) + .accept, comment: "TCP"),
        Rule(.isProtocol(ProtocolNumber.udp) + enter(.destinationPort, .transport) + .accept, comment: "UDP"),
        Rule(isEcho + enter(.icmpIdentifier, .icmp) + .accept, comment: "ping"),
        Rule(isError + .jump("quoted_in"), comment: "an error about a packet that we sent"),
        otherProtocols, otherICMPTypes,
        Rule(.drop(.outsidePortSetIn), comment: "not to a port of ours"),
      ]
    }
    return Chain(name: "from_softwire", rules: rules)
  }

  private var quotedIn: Chain {
    Chain(
      name: "quoted_in",
      rules: [
        hiddenPorts,
        Rule(
          .is(.quotedProtocol, in: SetName.portProtocols) + enter(.quotedSourcePort, .icmp) + .accept,
          comment: "about TCP or UDP"),
        Rule(quotesEcho + enter(.quotedICMPIdentifier, .icmp) + .accept, comment: "about ping"),
      ])
  }

  private var input: Chain {
    Chain(
      name: "input", base: BaseChain(hook: .input, priority: 0),
      rules: [answers, Rule(.fromSoftwire + .jump("unsolicited"), comment: "from the softwire to this router")])
  }

  /// From the softwire through this router.
  var forward: [Rule] {
    [answers, Rule(.fromSoftwire + .jump("unsolicited"), comment: "from the softwire through this router")]
  }

  /// Most packets of all devices end here; for us alone, other tables have their say.
  private var answers: Rule {
    Rule(.hasState([.established, .related]) + .accept, comment: "answers, and errors about what was sent")
  }

  /// A private port is a number like any other: without this a service of the router that happens to listen on one
  /// could be reached from outside. What connection tracking cannot place (invalid) or must not (untracked) has no
  /// connection here that it could belong to, and was not translated: it falls through to the drop, too.
  private var unsolicited: Chain {
    Chain(
      name: "unsolicited",
      rules: [
        Rule(.hasStatus(.destinationNAT) + .jump(TimeoutChain.name), comment: "how long silence may last"),
        Rule(.hasStatus(.destinationNAT) + .accept, comment: "forwarded ports"),
        Rule(
          .isIPv4 + .isProtocol(ProtocolNumber.icmp) + .is(.icmpType, [8]) + .hasState(.new)
            + [.timeout(TimeoutName.icmp)] + .accept, comment: "we answer pings"),
        Rule(.drop(.unsolicited), comment: "nobody here asked for it"),
      ])
  }

  // MARK: Out

  private var sourceNAT: Chain {
    let leaves: Words = .toSoftwire + .isIPv4
    var rules: [Rule] = []
    switch share {
    case .nothing:
      break
    case .wholeAddress:
      rules = [
        Rule(
          leaves + [.immediate(address.bytes, into: .r1), .nat(NAT(.source, address: .r1))],
          comment: "everything that leaves, to our address")
      ]
    case .ports(let range):
      let first = range.ports.lowerBound
      // The last identifier is the daemon's, if it probes; a set of one port has none to give.
      let lastIdentifier = range.ports.upperBound - (probeIdentifier != nil && range.ports.count > 1 ? 1 : 0)
      rules = [
        (ProtocolNumber.tcp, "TCP", range.ports.upperBound), (ProtocolNumber.udp, "UDP", range.ports.upperBound),
        (ProtocolNumber.icmp, "ping", lastIdentifier),
      ].map { number, name, last in
        let translate: Words = [
          .immediate(address.bytes, into: .r1), .immediate(first.networkBytes, into: .r2),
          .immediate(last.networkBytes, into: .r3),
          .nat(NAT(.source, address: .r1, ports: .init(first: .r2, last: .r3))),
        ]
        return Rule(
          leaves + .isProtocol(number) + translate, comment: "\(name) that leaves, to our address and private ports")
      }
    }
    return Chain(name: "srcnat", base: BaseChain(hook: .postrouting, priority: 90, kind: .nat), rules: rules)
  }

  private var outbound: Chain {
    Chain(
      name: "outbound", base: BaseChain(hook: .postrouting, priority: 300),
      rules: [Rule(.isIPv4 + .toSoftwire + .jump("leaving"), comment: "the edge, going out")])
  }

  /// Nothing leaves that is not ours, however it came about: packets that connection tracking did not translate, a
  /// foreign NAT, a program that makes up packets.
  private var leaving: Chain {
    let ours: Words = .is(.ipv4Source, address.bytes)
    let foreign = Rule(
      .isIPv4 + .isNot(.ipv4Source, address.bytes) + .drop(.outsidePortSetOut), comment: "not from our address")
    guard isShared else { return Chain(name: "leaving", rules: forwarding.opening + [foreign]) }
    // Most packets end at the first or second of these.
    let translated = exits {
      [
        Rule(.isProtocol(ProtocolNumber.tcp) + ours + $0(.sourcePort, .transport) + .accept, comment: "TCP"),
        Rule(.isProtocol(ProtocolNumber.udp) + ours + $0(.sourcePort, .transport) + .accept, comment: "UDP"),
        Rule(isEcho + ours + $0(.icmpIdentifier, .icmp) + .accept, comment: "ping"),
      ]
    }
    return Chain(
      name: "leaving",
      rules: forwarding.opening + translated + [
        otherProtocols, foreign,
        Rule(isError + .jump("quoted_out"), comment: "an error about a packet that came in"),
        otherICMPTypes,
        Rule(.drop(.outsidePortSetOut), comment: "not from a port of ours"),
      ])
  }

  private var quotedOut: Chain {
    let translated = exits {
      [
        Rule(
          .is(.quotedProtocol, in: SetName.portProtocols) + $0(.quotedDestinationPort, .icmp) + .accept,
          comment: "about TCP or UDP"),
        Rule(quotesEcho + $0(.quotedICMPIdentifier, .icmp) + .accept, comment: "about ping"),
      ]
    }
    return Chain(name: "quoted_out", rules: [hiddenPorts] + translated)
  }

  /// Rules for ports on their way out: private ones that are made real, then those that are real already.
  private func exits(_ rules: ((Payload, ChecksumUpdate) -> Words) -> [Rule]) -> [Rule] {
    let made = isRemapped ? rules { .rewrite($0, by: SetName.privateToReal, $1) } : []
    return made + rules { port, _ in isReal(port) }
  }
}
