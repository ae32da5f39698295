// SPDX-License-Identifier: GPL-3.0-or-later
//
// What every softwire needs, whoever translates: nobody but the relays may send into it, TCP must fit through it, and
// the kernel must keep quiet about it.

internal import NFTables
internal import RouterKit

/// The chains that MAP-E and DS-Lite have in common. Each hook has one chain, since entering a chain costs a packet more
/// than a rule that does not concern it; where NAT has more to do, its rules follow.
struct SoftwireChains {
  let spec: NATSpec
  /// What the NAT adds, if there is one.
  let nat: TranslationChains?

  var sets: [NamedSet] {
    let devices = NamedSet(name: SetName.softwires, devices: spec.devices)
    return spec.admitsMesh ? [devices] : [devices, NamedSet(name: SetName.relays, addresses: spec.relays)]
  }

  var chains: [Chain] {
    [arriving, forward, clamp, outerOutput] + (spec.admitsMesh ? [] : [strangers])
  }

  /// Before anything else is done with a packet, outer or inner, and after its fragments have been put together (−400).
  private var arriving: Chain {
    let toUs: Words = .isIPv6 + .is(.ipv6Destination, spec.localAddress.bytes)
    let rule =
      spec.admitsMesh
      ? Rule(
        toUs + .is(.ipv6Source, spec.localAddress.bytes) + .isProtocol(ProtocolNumber.ipv4) + .drop(.wrongOuterSource),
        comment: "a loop: from ourselves to ourselves")
      : Rule(
        toUs + .isNot(.ipv6Source, in: SetName.relays) + .jump("strangers"),
        comment: "only relays may send into the softwire")
    return Chain(
      name: "arriving", base: BaseChain(hook: .prerouting, priority: -300), rules: [rule] + (nat?.arriving ?? []))
  }

  private var strangers: Chain {
    let fragment: Words = [
      .hasExtension(ExtensionHeader(.ipv6, number: ProtocolNumber.ipv6Fragment, offset: 0, length: 1), into: .r1),
      .compare(.r1, .equal, [1]),
    ]
    return Chain(
      name: "strangers",
      rules: [
        Rule(.isProtocol(ProtocolNumber.ipv4) + .drop(.wrongOuterSource), comment: "IPv4 from others"),
        // Where nobody uses connection tracking (DS-Lite) packets come in fragments, and with options before its IPv4
        // part the rest of a packet does not show what it is. The address has no other use for fragments.
        Rule(fragment + .drop(.wrongOuterSource), comment: "nor may the rest of a packet come from others"),
      ])
  }

  /// TCP connections through the router, in both directions: segments that fit the softwire. Only packets with SYN are
  /// looked at more closely: this chain sees all that is forwarded.
  private var forward: Chain {
    let begins: Words = [
      .payload(.tcpFlags, into: .r1), .bitwise(.r1, into: .r1, mask: [2], xor: [0]), .compare(.r1, .notEqual, [0]),
    ]
    return Chain(
      name: "forward", base: BaseChain(hook: .forward, priority: -150),
      rules: [Rule(.isProtocol(ProtocolNumber.tcp) + begins + .jump("clamp"), comment: "TCP connections that begin")]
        + (nat?.forward ?? []))
  }

  /// The kernel takes the smaller of the two routes' MTUs and never makes the option larger.
  private var clamp: Chain {
    let clamp: Words = [
      .route(.maximumSegmentSize, into: .r1), .hostToNetwork16(.r1, into: .r1),
      .writeExtension(ExtensionHeader(.tcpOption, number: 2, offset: 2, length: 2), from: .r1),
    ]
    return Chain(
      name: "clamp",
      rules: [
        Rule(.toSoftwire + clamp, comment: "segments that fit, for the far end"),
        Rule(.fromSoftwire + clamp, comment: "segments that fit, for this side"),
      ])
  }

  /// What leaves on the line.
  private var outerOutput: Chain {
    Chain(name: "outer_output", base: BaseChain(hook: .output, priority: 0), rules: sources + quiet)
  }

  /// The tunnel's ends and the translation are changed one after the other; what was translated for the old ends may not
  /// leave from the new ones, nor the other way round, since the relay would see a spoofed subscriber. Nobody checks that
  /// in the kernel's tunnel but this.
  private var sources: [Rule] {
    guard case .mapE(let address, _) = spec.kind else { return [] }
    let carriesIPv4: Words = .isIPv6 + .isProtocol(ProtocolNumber.ipv4)
    let ends: Words = .is(.ipv6Source, spec.localAddress.bytes)
    let inside: Words = .is(.innerIPv4Source, address.bytes)
    return [
      Rule(carriesIPv4 + ends + inside + .accept, comment: "our address inside ours"),
      Rule(carriesIPv4 + ends + .drop(.outsidePortSetOut), comment: "somebody else's address inside ours"),
      Rule(carriesIPv4 + inside + .drop(.outsidePortSetOut), comment: "our address inside somebody else's"),
    ]
  }

  /// A dataplane in user space takes packets that the kernel has no use for. Where the kernel knows the protocol but no
  /// tunnel (ip6_tunnel is loaded) it would tell the relay of each one that nobody is there; without the module it would
  /// do so when the dataplane's buffer is full.
  private var quiet: [Rule] {
    let towards: Words = spec.admitsMesh ? [] : .is(.ipv6Destination, in: SetName.relays)
    func silence(_ typeAndCode: [UInt8], _ comment: String) -> Rule {
      Rule(
        .isIPv6 + .isProtocol(ProtocolNumber.icmpv6) + .is(.icmpTypeAndCode, typeAndCode)
          + .is(.ipv6Source, spec.localAddress.bytes) + towards + .is(.quotedNextHeader, [ProtocolNumber.ipv4])
          + [.verdict(.drop)],
        comment: comment)
    }
    return [
      silence([1, 4], "the softwire is somebody's: not unreachable"),
      silence([4, 1], "the softwire is somebody's: not unknown"),
    ]
  }
}
