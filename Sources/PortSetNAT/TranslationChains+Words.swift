// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the chains of MAP-E say in both directions.

internal import NFTables
internal import RouterKit

extension TranslationChains {
  var isEcho: Words { .isProtocol(ProtocolNumber.icmp) + .is(.icmpType, in: SetName.echoTypes) }
  var isError: Words { .isProtocol(ProtocolNumber.icmp) + .is(.icmpType, in: SetName.errorTypes) }
  var quotesEcho: Words {
    .is(.quotedProtocol, [ProtocolNumber.icmp]) + .is(.quotedICMPType, in: SetName.echoTypes)
  }

  /// Goes on with a port of our set.
  func isReal(_ payload: Payload) -> Words {
    .is(payload, in: SetName.realPorts)
  }

  /// Goes on with a port of our set, made private.
  func enter(_ payload: Payload, _ checksum: ChecksumUpdate) -> Words {
    isRemapped ? .rewrite(payload, by: SetName.realToPrivate, checksum) : isReal(payload)
  }

  var hiddenPorts: Rule {
    Rule(
      .is(.quotedProtocol, in: SetName.sharingProtocols) + .isNot(.quotedVersionAndLength, [0x45])
        + .drop(.innerHeaderOptions),
      comment: "options hide the ports")
  }

  var otherProtocols: Rule {
    Rule(
      [.meta(.transportProtocol, into: .r1), .lookup(.r1, set: SetName.sharingProtocols, isInverted: true)]
        + .drop(.protocolWithoutPorts),
      comment: "no ports to share the address by")
  }

  var otherICMPTypes: Rule {
    Rule(
      .isProtocol(ProtocolNumber.icmp) + .isNot(.icmpType, in: SetName.echoTypes)
        + .isNot(.icmpType, in: SetName.errorTypes) + .drop(.protocolWithoutPorts),
      comment: "no identifier to share the address by")
  }
}
