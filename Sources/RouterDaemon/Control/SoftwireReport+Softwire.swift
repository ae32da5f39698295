// SPDX-License-Identifier: GPL-3.0-or-later
//
// How a softwire is reported.

public import ControlProtocol
public import RouterKit

extension SoftwireReport {
  /// The report of a softwire.
  /// - Parameter mtu: the largest IPv4 packet in bytes.
  public init(_ softwire: Softwire, devices: [String], mtu: Int) {
    let parameters: CEParameters? =
      switch softwire {
      case .mapE(let mapE): mapE.parameters
      case .dsLite, .fixedIP: nil
      }
    let ranges: [[Int]] =
      switch (softwire, parameters?.portSet) {
      case (.dsLite, _): []
      case (_, let portSet?): portSet.blocks.map { [Int($0.lowerBound), Int($0.upperBound)] }
      // A whole address has every port, and every ICMP identifier.
      case (_, nil): [[0, 65535]]
      }
    self.init(
      kind: softwire.kind.rawValue, rule: parameters?.rule.ipv6Prefix.description,
      ipv4: softwire.ipv4Address.description, psid: parameters.map { Int($0.psid) },
      ceAddress: softwire.localAddress.description, borderRelay: softwire.relay.description,
      allowedRelays: softwire.allowedRelays.map(\.description), portRanges: ranges,
      portCount: ranges.reduce(0) { $0 + $1[1] - $1[0] + 1 }, devices: devices, mtu: mtu)
  }
}
