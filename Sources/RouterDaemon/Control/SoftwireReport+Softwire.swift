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
      case .dsLite: nil
      }
    // A whole address has every port, and every ICMP identifier.
    let ranges =
      parameters.map { $0.portSet.map { $0.blocks.map { [Int($0.lowerBound), Int($0.upperBound)] } } ?? [[0, 65535]] }
      ?? []
    self.init(
      kind: parameters == nil ? "ds-lite" : "map-e", rule: parameters?.rule.ipv6Prefix.description,
      ipv4: softwire.ipv4Address.description, psid: parameters.map { Int($0.psid) },
      ceAddress: softwire.localAddress.description, borderRelay: softwire.relay.description,
      allowedRelays: softwire.allowedRelays.map(\.description), portRanges: ranges,
      portCount: ranges.reduce(0) { $0 + $1[1] - $1[0] + 1 }, devices: devices, mtu: mtu)
  }
}
