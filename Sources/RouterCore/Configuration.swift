// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the operator wants, as a value. How it is written in TOML is ConfigurationFile's business in RouterDaemon; the
// defaults stand here.

public import PortSetNAT
public import RouterKit

/// The configuration of the router.
public struct Configuration: Hashable, Sendable {
  /// Which profile to use.
  public var profile: ProfileChoice = .automatic
  /// The IPv6 side.
  public var wan = WAN()
  /// The IPv4 side.
  public var lan = LAN()
  /// The DHCPv6 client.
  public var dhcpv6 = DHCPv6()
  /// What is learned from servers of the ISP.
  public var provisioning = Provisioning()
  /// The file with the URL by which the provider of a fixed address is told where it is; nothing: it need not be told.
  public var fixedIPUpdateFile: String?
  /// The softwire.
  public var softwire = SoftwireSettings()
  /// The translation of addresses and ports (MAP-E).
  public var nat = NATSettings()
  /// The forwarded ports (MAP-E).
  public var forwards: [PortForward] = []
  /// The settings that profiles may use.
  public var profileSettings = ProfileSettings()
  /// Hosts that are asked through the softwire's relays whether packets come back; empty: nobody is asked, the relays
  /// themselves neither.
  public var probeTargets = [IPv4Address(1, 1, 1, 1), IPv4Address(8, 8, 8, 8), IPv4Address(9, 9, 9, 9)]
  /// Folders with plugins; empty: where they are installed, or in a build tree where they were built.
  public var pluginPath: [String] = []
  /// The path of the control socket.
  public var controlSocket = "/run/routerd/control"
  /// The folder for what must outlive the process.
  public var stateDirectory = "/var/lib/routerd"

  /// Makes the default configuration.
  public init() {}

  /// The section `[wan]`.
  public struct WAN: Hashable, Sendable {
    /// The name of the interface with the IPv6 line.
    public var interface = ""
    /// Who runs the line.
    public var mode = Mode.observe
    /// The line's prefixes; empty: those that the line gives.
    public var prefixes: [IPv6Prefix] = []
    /// The next hop of the IPv6 default route, before every router that advertises itself; only if ``mode`` is
    /// ``Mode-swift.enum/manage``.
    public var gateway: IPv6Address?
    /// The line's resolvers; empty: those that the line gives.
    public var resolvers: [IPv6Address] = []

    /// Who runs the line.
    public enum Mode: String, Hashable, Sendable, CaseIterable {
      /// Somebody else does: the kernel, systemd-networkd, a DHCPv6 client. routerd reads what comes of it.
      case observe
      /// routerd does: it asks routers and DHCPv6 server, and puts addresses and routes into the kernel.
      case manage
    }

    /// Makes the defaults.
    public init() {}
  }

  /// The section `[dhcpv6]`; it counts where routerd runs the line.
  public struct DHCPv6: Hashable, Sendable {
    /// The length of the prefix to ask for; nothing: whatever the server likes to give.
    public var prefixLengthHint: Int?
    /// Whether an address is asked for besides a prefix (IA_NA).
    public var wantsAddress = false

    /// Makes the defaults.
    public init() {}
  }

  /// The section `[provisioning]`: what is learned from servers of the ISP.
  public struct Provisioning: Hashable, Sendable {
    /// The socket of the process that does the asking.
    public var socket = "/run/routerd-provision/socket"
    /// Whether HB46PP is used.
    public var usesHB46PP = true
    /// The file with the operator's key to JPNE's rule server.
    public var jpneKeyFile: String?
    /// The file with the operator's key to OCN's rule server.
    public var ocnKeyFile: String?
    /// A file of certificates to trust besides the system's.
    public var certificateFile: String?
    /// Whether a home gateway in front is asked if it runs MAP-E itself.
    public var asksHomeGateway = true

    /// Makes the defaults.
    public init() {}
  }

  /// The section `[lan]`.
  public struct LAN: Hashable, Sendable {
    /// The interfaces whose IPv4 traffic is routed; routerd turns forwarding on there.
    public var interfaces: [String] = []

    /// Makes the defaults.
    public init() {}
  }

  /// The section `[nat]`.
  public struct NATSettings: Hashable, Sendable {
    /// Who may write to a UDP port that is in use.
    public var filtering = NATSpec.Filtering.addressAndPortDependent
    /// How long connections over the softwire may be silent.
    public var timeouts = FlowTimeouts()
  }

  /// The section `[softwire]`.
  public struct SoftwireSettings: Hashable, Sendable {
    /// The name of a dataplane, or "auto".
    public var dataplane = "auto"
    /// The name of the (first) tunnel device.
    public var device = "softwire0"
    /// The largest IPv4 packet in bytes: 1500 less the 40 of the IPv6 header.
    public var mtu = 1460
    /// The metric of the IPv4 default route; lower wins.
    public var metric: UInt32 = 50
  }
}

/// Which profile to use.
public enum ProfileChoice: Hashable, Sendable, CustomStringConvertible {
  /// The one whose rule matches the line's prefix.
  case automatic
  /// The one with this name.
  case named(String)

  /// Reads "auto" or a name.
  public init(_ text: String) {
    self = text == "auto" ? .automatic : .named(text)
  }

  /// The text for people.
  public var description: String {
    switch self {
    case .automatic: "auto"
    case .named(let name): name
    }
  }
}
