// SPDX-License-Identifier: GPL-3.0-or-later
//
// Tunnels of the kernel: whether it has them, make, change. They are looked at and removed like any other link.

import CMNL
import Glibc

extension NetlinkSocket {
  /// Whether the kernel has tunnels of kind `ip6tnl`; if they are a module that is not loaded yet, the kernel loads it.
  ///
  /// The question is a device that cannot be: the module refuses its protocol number before anything is made, and a
  /// kernel without the module refuses the kind.
  /// - Throws: ``NetlinkError`` with `EPERM` for a process without CAP_NET_ADMIN, and what else may go wrong.
  public mutating func hasIPv6Tunnels() throws(NetlinkError) -> Bool {
    var request = MessageWriter(RTM_NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL)
    request.putFamilyHeader(ifinfomsg())
    request.nest(IFLA_LINKINFO) { request in
      request.put(IFLA_INFO_KIND, IPv6Tunnel.kind)
      request.nest(IFLA_INFO_DATA) { request in
        request.put(IFLA_IPTUN_PROTO, UInt8.max)
      }
    }
    do throws(NetlinkError) {
      try self.request(request, operation: "ask for tunnels of kind \(IPv6Tunnel.kind)")
    } catch {
      switch error.code {
      case EINVAL: return true
      case EOPNOTSUPP: return false
      default: throw error
      }
    }
    // The kernel made it all the same, which no version does.
    throw NetlinkError(operation: "ask for tunnels of kind \(IPv6Tunnel.kind)", code: EBADMSG)
  }

  /// Makes a tunnel device, which is down.
  public mutating func addTunnel(named name: String, _ tunnel: IPv6Tunnel, mtu: UInt32) throws(NetlinkError) {
    var request = MessageWriter(RTM_NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL)
    request.putFamilyHeader(ifinfomsg())
    request.put(IFLA_IFNAME, name)
    request.put(IFLA_MTU, mtu)
    tunnel.put(into: &request)
    try self.request(request, operation: "make the tunnel \(name) \(tunnel.ends)")
  }

  /// Changes a tunnel device in place; addresses and routes on it stay.
  /// - Parameter mtu: the MTU that the device is to have. The kernel chooses one itself when a tunnel is changed, so it
  ///   is part of the same request.
  public mutating func changeTunnel(_ index: UInt32, to tunnel: IPv6Tunnel, mtu: UInt32) throws(NetlinkError) {
    var request = MessageWriter(RTM_NEWLINK)
    request.putFamilyHeader(ifinfomsg(index: index))
    request.put(IFLA_MTU, mtu)
    tunnel.put(into: &request)
    try self.request(request, operation: "change the tunnel with interface number \(index) to \(tunnel.ends)")
  }
}

extension IPv6Tunnel {
  fileprivate var ends: String { "from \(localAddress) to \(remoteAddress)" }
}
