// SPDX-License-Identifier: GPL-3.0-or-later
//
// What every softwire needs, whoever translates: nobody but the relays may send into it, TCP must fit through it, and
// the kernel must keep quiet about it.

internal import NFTables
internal import RouterKit

/// The chains that MAP-E and DS-Lite have in common.
struct SoftwireChains {
  let spec: NATSpec

  var sets: [NamedSet] {
    let devices = NamedSet(name: SetName.softwires, devices: spec.devices)
    return spec.admitsMesh ? [devices] : [devices, NamedSet(name: SetName.relays, addresses: spec.relays)]
  }

  var chains: [Chain] {
    [outerGuard, segmentSize, quiet] + (outerSource.map { [$0] } ?? [])
  }

  /// Before anything else is done with the outer packet, and after the fragments of it have been put together (−400).
  private var outerGuard: Chain {
    let toUs: Words = .isIPv6 + .is(.ipv6Destination, spec.localAddress.bytes)
    let carriesIPv4: Words = .isProtocol(ProtocolNumber.ipv4)
    var rules: [Rule]
    if spec.admitsMesh {
      rules = [
        Rule(
          toUs + .is(.ipv6Source, spec.localAddress.bytes) + carriesIPv4 + .drop(.wrongOuterSource),
          comment: "a loop: from ourselves to ourselves")
      ]
    } else {
      let stranger: Words = toUs + .isNot(.ipv6Source, in: SetName.relays)
      let fragment: Words = [
        .hasExtension(ExtensionHeader(.ipv6, number: ProtocolNumber.ipv6Fragment, offset: 0, length: 1), into: .r1),
        .compare(.r1, .equal, [1]),
      ]
      rules = [
        Rule(stranger + carriesIPv4 + .drop(.wrongOuterSource), comment: "only relays may send into the softwire"),
        // Where nobody uses connection tracking (DS-Lite) packets come in fragments, and with options before its IPv4
        // part the rest of a packet does not show what it is. The address has no other use for fragments.
        Rule(stranger + fragment + .drop(.wrongOuterSource), comment: "nor may the rest of a packet come from others"),
      ]
    }
    return Chain(name: "outer_guard", base: BaseChain(hook: .prerouting, priority: -310), rules: rules)
  }

  /// TCP connections through the router, in both directions: segments that fit the softwire. The kernel takes the
  /// smaller of the two routes' MTUs and never makes the option larger.
  private var segmentSize: Chain {
    let clamp: Words = [
      .payload(.tcpFlags, into: .r1), .bitwise(.r1, into: .r1, mask: [2], xor: [0]), .compare(.r1, .notEqual, [0]),
      .route(.maximumSegmentSize, into: .r1), .hostToNetwork16(.r1, into: .r1),
      .writeExtension(ExtensionHeader(.tcpOption, number: 2, offset: 2, length: 2), from: .r1),
    ]
    return Chain(
      name: "segment_size", base: BaseChain(hook: .forward, priority: -150),
      rules: [
        Rule(.toSoftwire + .isProtocol(ProtocolNumber.tcp) + clamp, comment: "segments that fit, for the far end"),
        Rule(.fromSoftwire + .isProtocol(ProtocolNumber.tcp) + clamp, comment: "segments that fit, for this side"),
      ])
  }

  /// What leaves on the line. The tunnel's ends and the translation are changed one after the other; what was translated
  /// for the old ends may not leave from the new ones, nor the other way round, since the relay would see a spoofed
  /// subscriber. Nobody checks that in the kernel's tunnel but this.
  private var outerSource: Chain? {
    guard case .mapE(let address, _) = spec.kind else { return nil }
    let carriesIPv4: Words = .isIPv6 + .isProtocol(ProtocolNumber.ipv4)
    let ends: Words = .is(.ipv6Source, spec.localAddress.bytes)
    let otherEnds: Words = .isNot(.ipv6Source, spec.localAddress.bytes)
    return Chain(
      name: "outer_source", base: BaseChain(hook: .output, priority: 0),
      rules: [
        Rule(
          carriesIPv4 + ends + .isNot(.innerIPv4Source, address.bytes) + .drop(.outsidePortSetOut),
          comment: "somebody else's address inside ours"),
        Rule(
          carriesIPv4 + otherEnds + .is(.innerIPv4Source, address.bytes) + .drop(.outsidePortSetOut),
          comment: "our address inside somebody else's"),
      ])
  }

  /// A dataplane in user space takes packets that the kernel has no use for. Where the kernel knows the protocol but no
  /// tunnel (ip6_tunnel is loaded) it would tell the relay of each one that nobody is there; without the module it would
  /// do so when the dataplane's buffer is full.
  private var quiet: Chain {
    let towards: Words = spec.admitsMesh ? [] : .is(.ipv6Destination, in: SetName.relays)
    func silence(_ typeAndCode: [UInt8], _ comment: String) -> Rule {
      Rule(
        .isIPv6 + .is(.ipv6Source, spec.localAddress.bytes) + towards + .isProtocol(ProtocolNumber.icmpv6)
          + .is(.icmpTypeAndCode, typeAndCode) + .is(.quotedNextHeader, [ProtocolNumber.ipv4]) + [.verdict(.drop)],
        comment: comment)
    }
    return Chain(
      name: "quiet", base: BaseChain(hook: .output, priority: 0),
      rules: [
        silence([1, 4], "the softwire is somebody's: not unreachable"),
        silence([4, 1], "the softwire is somebody's: not unknown"),
      ])
  }
}
