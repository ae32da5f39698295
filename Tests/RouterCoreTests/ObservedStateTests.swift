// SPDX-License-Identifier: GPL-3.0-or-later
//
// Which of an interface's addresses name the line.

import Netlink
import RouterCore
import RouterKit
import Testing

struct ObservedStateTests {
  private func address(
    _ text: String, length: Int = 64, flags: AddressFlags = [], index: UInt32 = 2,
    protocol: AddressProtocol = .unspecified
  ) throws -> InterfaceAddress<IPv6Address> {
    InterfaceAddress(
      interfaceIndex: index, address: try IPv6Address(text), prefixLength: length, flags: flags, protocol: `protocol`)
  }

  @Test func takesTheGlobalAddressesOfOthers() throws {
    var observed = ObservedState()
    observed.links = [Link(index: 2, name: "wan0", isUp: true, hasCarrier: true, mtu: 1500)]
    observed.ipv6Addresses = [
      try address("fe80::1"), try address("2001:db8:1:1::5"), try address("2001:db8:1:1::6"),
      try address("2001:db8:2:1::5", flags: [.temporary]), try address("2001:db8:3:1::5", flags: [.tentative]),
      try address("2001:db8:4:1::5", flags: [.duplicateDetected]), try address("2001:db8:5:1::5", index: 3),
      try address("2001:db8:6:1::5", protocol: .routerd), try address("2001:db8:7:1::5", length: 128),
      try address("fd00::1"), try address("2001:db8::5", flags: [.deprecated]),
    ]
    #expect(
      observed.linePrefixes(on: "wan0").map(\.description) == [
        "2001:db8:1:1::/64", "2001:db8:3:1::/64", "2001:db8::/64",
      ])
    #expect(observed.linePrefixes(on: "nothere").isEmpty)
  }
}

struct LinePrefixTests {
  @Test(arguments: ["2404:7a82:4d02:4100::/56", "2404:7a82:4d02:4100::/64", "2404:7a82:4d02:4100:85:d10d:200:4100/128"])
  func takesWhatPeopleFind(text: String) throws {
    #expect(try LinePrefix.parse(text).description == text)
  }

  @Test(arguments: [
    ("2404:7a82:4d02:4100::", "length is missing"), ("2404:7a82:4d02:4100:85:d10d:200:4100", "/128"),
    ("2404:7a82:4d02:4100:85::/80", "at most 64 bits"), ("2404:7a82:4d02:4100:85:d10d:200:4100/127", "at most 64 bits"),
    ("fe80::/64", "global unicast"), ("fd00::/56", "global unicast"), ("::/0", "global unicast"),
    ("2404:7a82:4d02:4101::1/56", "2404:7a82:4d02:4100::/56"), ("2404:7a82:4d02:4100::%wan0/64", "zone"),
    ("192.0.2.0/24", "not an IPv6 address"), ("", "not an IPv6 address"), ("/56", "not an IPv6 address"),
  ])
  func saysWhatIsWrong(text: String, expected: String) throws {
    let error = try #require(throws: AddressError.self) { try LinePrefix.parse(text) }
    #expect(error.description.contains(expected), "\(error)")
  }
}
