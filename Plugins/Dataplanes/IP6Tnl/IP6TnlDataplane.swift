// SPDX-License-Identifier: GPL-3.0-or-later
//
// The dataplane in the kernel: its own IPv4-in-IPv6 tunnels, module ip6_tunnel. Packets never leave the kernel, and
// stopping the daemon interrupts nothing.

internal import Glibc
internal import Netlink
public import RouterKit

/// Makes dataplanes out of the kernel's tunnels.
public struct IP6TnlProvider: DataplaneProvider {
  /// `dataplane.ip6tnl`.
  public let id: PluginID
  /// The name for people.
  public let title = "kernel (ip6tnl)"
  /// Before user space, wherever it can run.
  public let preference = 10
  /// Relays that are known beforehand. Other subscribers are not: each would need a device of its own.
  public let capabilities: DataplaneCapabilities = [.mapE, .dsLite, .receiveFromOtherRelays]

  /// Makes the provider with the plugin's id.
  public init(id: PluginID) {
    self.id = id
  }

  /// What the machine lacks: the kernel's module. Nothing is made to find out.
  public func missingRequirement() -> String? {
    do throws(NetlinkError) {
      var netlink = try NetlinkSocket()
      return try netlink.hasIPv6Tunnels() ? nil : Self.missingModule
    } catch {
      // Somebody without rights may still check a configuration.
      guard error.code == EPERM else { return error.description }
      if access("/sys/module/ip6_tunnel", F_OK) == 0 { return nil }
      return "the kernel module “ip6_tunnel” is not loaded, and this user may not have it loaded"
    }
  }

  static let missingModule =
    "the kernel has no tunnels of kind ip6tnl: its module “ip6_tunnel” is missing, or may not be loaded"

  /// One device for each allowed relay.
  public func deviceNames(for tunnel: TunnelSpec) -> [String] {
    SoftwireDevice.devices(for: tunnel).map(\.name)
  }

  /// Makes the dataplane; nothing is touched yet.
  public func makeDataplane(log: any PluginLog) -> any Dataplane {
    IP6TnlDataplane(log: log)
  }
}

/// The dataplane in the form that the daemon takes; the work is ``IP6TnlEngine``'s.
struct IP6TnlDataplane: Dataplane {
  private let engine: IP6TnlEngine

  init(log: any PluginLog) {
    engine = IP6TnlEngine(log: log)
  }

  func observe(_ tunnel: TunnelSpec) async throws(DataplaneError) -> TunnelState? {
    try engine.observe(tunnel)
  }

  func apply(_ tunnel: TunnelSpec) async throws(DataplaneError) {
    try engine.apply(tunnel)
  }

  func remove(deviceName: String) async throws(DataplaneError) {
    try engine.remove(deviceName: deviceName)
  }

  /// The table counts what strangers send; the kernel's tunnels drop nothing else of their own.
  func counters() -> [String: UInt64] {
    [:]
  }
}
