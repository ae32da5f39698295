// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the reconciler would like to know, as a value: whoever does the asking compares it with what he asked before.

import RouterCore
import RouterKit

struct LearningWish: Hashable, Sendable {
  /// The sources to ask; those of DHCPv6 are not among them.
  var sources: Set<RuleSource>
  /// The interface with the line.
  var interface: String
  /// The line's resolvers in order of preference; link-local ones are on ``interface``.
  var resolvers: [IPv6Address]
  /// The line's prefixes in order of preference.
  var prefixes: [IPv6Prefix]
  /// The softwire that is up.
  var softwire: Softwire?
  /// The settings.
  var provisioning: Configuration.Provisioning
  /// The file with the URL that is called from the near end of a fixed address's tunnel.
  var fixedIPUpdateFile: String?
}
