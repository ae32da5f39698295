// SPDX-License-Identifier: GPL-3.0-or-later
//
// Messages as they stand on the wire of a little-endian machine, each number explained (linux/rtnetlink.h,
// linux/if_link.h, linux/if_addr.h).

enum Fixture {
  static let link = message(type: 16, flags: 2, linkPayload)

  static let linkPayload = hex(
    """
    00 00 0100 07000000 43100100 00000000   # ifinfomsg: any family, Ethernet, index 7, UP|BROADCAST|RUNNING|MULTICAST|LOWER_UP
    0900 0300 77616e30 00 000000            # IFLA_IFNAME "wan0", padded
    0800 0400 dc050000                      # IFLA_MTU 1500
    0a00 0100 0200 5e00 5301 0000           # IFLA_ADDRESS 02:00:5e:00:53:01, padded
    0b00 1400 75706c69 6e6b00 00            # IFLA_IFALIAS "uplink", padded
    1000 1280                               # IFLA_LINKINFO | NLA_F_NESTED
      0900 0100 76657468 00 000000          #   IFLA_INFO_KIND "veth"
    3400 1a80                               # IFLA_AF_SPEC | NLA_F_NESTED
      3000 0280                             #   AF_INET
        2c00 0100                           #     IFLA_INET_CONF: settings 1 to 10
        01000000 00000000 00000000 01000000 01000000
        00000000 01000000 02000000 00000000 00000000
    """)

  static let address = message(type: 20, flags: 2, addressPayload)

  static let addressPayload = hex(
    """
    0a 80 60 00 07000000                    # ifaddrmsg: AF_INET6, /128, TENTATIVE|DEPRECATED, universe, interface 7
    1400 0100                               # IFA_ADDRESS
    24047a82 4d024100 0085d10d 02004100     #   2404:7a82:4d02:4100:85:d10d:200:4100
    1400 0600 00000000 ffffffff 01000000 02000000   # IFA_CACHEINFO: preferred 0, valid for ever, two time stamps
    0800 0800 e0020000                      # IFA_FLAGS: as above, and PERMANENT|NOPREFIXROUTE
    0500 0b00 85 000000                     # IFA_PROTO 133
    """)

  static let route = message(type: 24, flags: 2, routePayload)

  static let routePayload = hex(
    """
    02 18 00 00 fe 85 00 01 00000000        # rtmsg: AF_INET, /24, no source, no TOS, main, protocol 133, universe, unicast
    0800 0f00 fe000000                      # RTA_TABLE main
    0800 0100 c6336400                      # RTA_DST 198.51.100.0
    0800 0600 32000000                      # RTA_PRIORITY 50
    0c00 0880                               # RTA_METRICS | NLA_F_NESTED
      0800 0200 b4050000                    #   RTAX_MTU 1460
    0800 0700 c0000207                      # RTA_PREFSRC 192.0.2.7
    0800 0500 c0000201                      # RTA_GATEWAY 192.0.2.1
    0800 0400 07000000                      # RTA_OIF 7
    """)

  /// NLMSG_DONE with its zero.
  static func done(sequence: UInt32 = 1, flags: UInt16 = 2) -> [UInt8] {
    message(type: 3, flags: flags, sequence: sequence, hex("00000000"))
  }

  /// An acknowledgement: NLMSG_ERROR with zero and the header of the request (NLM_F_CAPPED).
  static func acknowledgement(sequence: UInt32 = 1) -> [UInt8] {
    message(type: 2, flags: 0x100, sequence: sequence, hex("00000000") + message(type: 19))
  }
}
