// SPDX-License-Identifier: GPL-3.0-or-later
//
// The contract of a dataplane plugin. A dataplane carries IPv4 packets to and from the softwire and nothing else: NAT,
// addresses and routes are the daemon's, the same for every dataplane.

/// Makes dataplanes; what a dataplane plugin registers.
public protocol DataplaneProvider: Sendable {
  /// `dataplane.NAME`; NAME is what people write in `dataplane = "NAME"`.
  var id: PluginID { get }
  /// The name for people, for example "user space (TUN)".
  var title: String { get }
  /// Among those that can run, `dataplane = "auto"` takes the one with the highest number.
  var preference: Int { get }
  /// What this dataplane can do.
  var capabilities: DataplaneCapabilities { get }
  /// What the machine lacks for this dataplane (a kernel module, a device node), as a sentence; nothing if it can run.
  func missingRequirement() -> String?
  /// The names of the devices that ``Dataplane/apply(_:)`` makes for `tunnel`. The first one carries what is sent to
  /// ``TunnelSpec/relay``; packets are taken from all of them. Another relay out of the same ``TunnelSpec/allowedRelays``
  /// changes the order and not the names.
  func deviceNames(for tunnel: TunnelSpec) -> [String]
  /// Makes the dataplane. Nothing is touched until ``Dataplane/apply(_:)``.
  func makeDataplane(log: any PluginLog) -> any Dataplane
}

extension DataplaneProvider {
  /// The lowest.
  public var preference: Int { 0 }
  /// One device, of the name that the tunnel has.
  public func deviceNames(for tunnel: TunnelSpec) -> [String] { [tunnel.deviceName] }
}

/// What a dataplane can do.
public struct DataplaneCapabilities: OptionSet, Hashable, Sendable {
  /// The bits.
  public let rawValue: UInt32
  /// Makes a set of its bits.
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }
  /// MAP-E softwires.
  public static let mapE = DataplaneCapabilities(rawValue: 1 << 0)
  /// DS-Lite softwires.
  public static let dsLite = DataplaneCapabilities(rawValue: 1 << 1)
  /// Reaching other subscribers directly by forwarding mapping rules.
  public static let forwardingMappingRules = DataplaneCapabilities(rawValue: 1 << 2)
  /// Accepting packets from allowed relays other than the active one.
  public static let receiveFromOtherRelays = DataplaneCapabilities(rawValue: 1 << 3)
}

/// A running dataplane. Calls are idempotent and never overlap, except that ``counters()`` may come at any time.
public protocol Dataplane: Sendable {
  /// What exists now of `tunnel`; nothing if there is no such tunnel. Devices that another dataplane of routerd left
  /// under its names are nothing.
  /// - Throws: ``DataplaneError`` if the kernel cannot be asked, or if a device of its names belongs to somebody else.
  func observe(_ tunnel: TunnelSpec) async throws(DataplaneError) -> TunnelState?
  /// Brings the tunnel to `tunnel`, in place where it exists. It must forward when this returns. Devices that another
  /// dataplane of routerd left under its names are replaced.
  func apply(_ tunnel: TunnelSpec) async throws(DataplaneError)
  /// Removes the device and stops forwarding for it, if routerd made it, with whatever dataplane.
  func remove(deviceName: String) async throws(DataplaneError)
  /// Packets that the dataplane dropped or answered itself, by reason; names are lower case with underscores.
  func counters() -> [String: UInt64]
}

/// The tunnel that a dataplane is to carry.
public struct TunnelSpec: Hashable, Sendable {
  /// The name of the device, at most 15 bytes; a dataplane that needs several makes the others' names of it
  /// (``DataplaneProvider/deviceNames(for:)``).
  public var deviceName: String
  /// This router's end.
  public var localAddress: IPv6Address
  /// The far end that traffic is sent to.
  public var relay: IPv6Address
  /// Every far end that traffic is accepted from, ``relay`` among them.
  public var allowedRelays: [IPv6Address]
  /// The IPv4 address that inner packets must be for; nothing where any is right (DS-Lite: the AFTR did the NAT).
  public var innerAddress: IPv4Address?
  /// The mapping rule of this line; with ``forwardingRules`` it tells spoofed subscribers from real ones.
  public var rule: MappingRule?
  /// The rules by which other subscribers are reached directly.
  public var forwardingRules: [MappingRule]
  /// The inner MTU in bytes, 1280 to 65535.
  public var mtu: Int

  /// Makes the tunnel of `softwire`.
  public init(deviceName: String, softwire: Softwire, mtu: Int) {
    self.deviceName = deviceName
    self.mtu = mtu
    localAddress = softwire.localAddress
    relay = softwire.relay
    allowedRelays = softwire.allowedRelays
    switch softwire {
    case .mapE(let mapE):
      innerAddress = mapE.parameters.ipv4Address
      rule = mapE.parameters.rule
      forwardingRules = mapE.forwardingRules
    case .dsLite:
      innerAddress = nil
      rule = nil
      forwardingRules = []
    case .fixedIP(let fixedIP):
      innerAddress = fixedIP.ipv4Address
      rule = nil
      forwardingRules = []
    }
  }
}

/// What a dataplane found.
public struct TunnelState: Hashable, Sendable {
  /// The devices of the softwire that exist; the first one carries the route.
  public var deviceNames: [String]
  /// The tunnel that packets are carried for, the wanted one if nothing about it is missing or wrong. Nothing if nobody
  /// forwards (after a restart, where that is a process), or if it cannot be told.
  public var tunnel: TunnelSpec?

  /// Makes a state.
  public init(deviceNames: [String], tunnel: TunnelSpec?) {
    self.deviceNames = deviceNames
    self.tunnel = tunnel
  }
}

/// Why a dataplane could not do what it was asked.
public struct DataplaneError: Error, Hashable, Sendable, CustomStringConvertible {
  /// A sentence for a person, with the cause and where possible the remedy.
  public let description: String

  /// Makes an error.
  public init(_ description: String) {
    self.description = description
  }
}
