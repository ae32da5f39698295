// SPDX-License-Identifier: GPL-3.0-or-later
//
// The dataplane in user space: IPv4-in-IPv6 between a TUN device and a raw socket. It runs on any kernel; how much it
// carries is the machine's business.

internal import Glibc
public import RouterKit

/// Makes TUN dataplanes.
public struct TUNProvider: DataplaneProvider {
  /// `dataplane.tun`.
  public let id: PluginID
  /// The name for people.
  public let title = "user space (TUN)"
  /// Everything there is: packets are this process's own.
  public let capabilities: DataplaneCapabilities = [.mapE, .dsLite, .forwardingMappingRules, .receiveFromOtherRelays]

  /// Makes the provider with the plugin's id.
  public init(id: PluginID) {
    self.id = id
  }

  /// What the machine lacks: the device node, or the right to open it.
  public func missingRequirement() -> String? {
    if access("/dev/net/tun", F_OK) != 0 {
      return "there is no /dev/net/tun: the kernel module “tun” is not loaded, or the service may not use that device"
    }
    if access("/dev/net/tun", R_OK | W_OK) != 0 {
      return "/dev/net/tun may not be opened by this user"
    }
    return nil
  }

  /// Makes the dataplane; nothing is touched yet.
  public func makeDataplane(log: any PluginLog) -> any Dataplane {
    TUNDataplane(log: log)
  }
}

/// The dataplane in the form that the daemon takes; the work is ``TUNEngine``'s.
struct TUNDataplane: Dataplane {
  private let engine: TUNEngine

  init(log: any PluginLog) {
    engine = TUNEngine(log: log)
  }

  func observe(_ tunnel: TunnelSpec) async throws(DataplaneError) -> TunnelState? {
    try engine.observe(deviceName: tunnel.deviceName)
  }

  func apply(_ tunnel: TunnelSpec) async throws(DataplaneError) {
    try engine.apply(tunnel)
  }

  func remove(deviceName: String) async throws(DataplaneError) {
    try engine.remove(deviceName: deviceName)
  }

  func counters() -> [String: UInt64] {
    engine.counters()
  }
}
