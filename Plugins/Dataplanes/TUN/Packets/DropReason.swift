// SPDX-License-Identifier: GPL-3.0-or-later
//
// Why a packet was dropped, or answered instead of carried. The raw values are the names that operators see.

/// Why a packet did not pass.
enum DropReason: String, Error, CaseIterable, Sendable {
  // Either direction.
  case notIPv4 = "not_ipv4"
  case truncated = "truncated"
  case badHeader = "bad_header"
  /// The far end would be, or claims to be, this router.
  case loop = "loop"

  // Into the softwire.
  /// The inner source is not the address that the rule gives.
  case wrongInnerSource = "wrong_inner_source"
  case timeToLiveExpired = "ttl_expired"
  /// Larger than the path carries and not to be fragmented; the sender was told.
  case tooBig = "too_big"
  /// The socket was full when it was replaced.
  case sendQueueFull = "send_queue_full"
  case sendFailed = "send_failed"

  // Out of the softwire.
  /// The outer source is neither a relay nor, in mesh, a subscriber.
  case wrongOuterSource = "wrong_outer_source"
  case wrongInnerDestination = "wrong_inner_destination"
  /// A relay delivered a packet that claims to come from this router's own address.
  case spoofedInnerSource = "spoofed_inner_source"
  /// In mesh: the rule does not give the inner source and port to the outer source.
  case wrongSubscriber = "wrong_subscriber"
  /// In mesh: a fragment whose first one, which has the ports, was not seen.
  case fragmentWithoutFirst = "fragment_without_first"
  /// Outer header says "congestion experienced", inner header says "does not understand" (RFC 6040).
  case ecnViolation = "ecn_violation"
  /// Several datagrams that the kernel merged, with no way to tell their sizes.
  case mergedDatagrams = "merged_datagrams"
  case deviceWriteFailed = "device_write_failed"

  // Errors about the tunnel.
  /// The error quotes nothing that this router sent.
  case errorNotOurs = "icmp_not_ours"
  /// The error quotes too little to tell the sender, or about a packet that must not be answered.
  case errorNotTranslatable = "icmp_not_translatable"
  case errorRateLimited = "icmp_rate_limited"
  /// An error was passed on to the sender inside.
  case errorTranslated = "icmp_translated"
}
