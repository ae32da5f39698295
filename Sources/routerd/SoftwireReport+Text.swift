// SPDX-License-Identifier: GPL-3.0-or-later
//
// A softwire for people: the same lines in `calc` and `status`.

import ControlProtocol

extension SoftwireReport {
  /// Name and value, line by line.
  var rows: [[String]] {
    let ends =
      switch kind {
      case "map-e": ("CE address", "border relay")
      case "ds-lite": ("B4 address", "AFTR")
      default: ("tunnel from", "tunnel to")
      }
    var rows: [[String]] = []
    if let rule { rows.append(["rule", rule]) }
    rows.append(["IPv4 address", ipv4])
    if let psid { rows.append(["PSID", "\(psid) (0x\(String(psid, radix: 16)))"]) }
    rows.append([ends.0, ceAddress])
    rows.append([ends.1, borderRelay])
    if !portRanges.isEmpty {
      let ranges = portRanges.map { $0.map(String.init).joined(separator: "-") }
      rows.append(["ports", "\(portCount): \(ranges.joined(separator: " "))"])
    }
    return rows
  }
}
