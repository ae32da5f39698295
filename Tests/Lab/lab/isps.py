# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated ISPs, with the prefixes, rules and border relays of the real ones, and one subscriber of each.

The numbers are written down, not computed: they are golden values that two or more independent calculators
agree on, so that no arithmetic is shared with the product or with the judge.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network


@dataclass(frozen=True)
class MAPDomain:
    """One MAP-E rule of an ISP and the relays that serve it."""

    rule6: str
    rule4: str
    ea_length: int
    psid_offset: int
    psid_length: int
    relay: str
    relays: tuple[str, ...]

    @property
    def judge_arguments(self) -> list[str]:
        rule = (
            f"{self.rule6},{self.rule4},ea={self.ea_length},offset={self.psid_offset},"
            f"psid={self.psid_length},iid=draft-03"
        )
        return ["--mode", "map-e", "--rule", rule]

    @property
    def ipv4(self) -> IPv4Network:
        return IPv4Network(self.rule4)


@dataclass(frozen=True)
class AFTR:
    """A DS-Lite concentrator, which does the NAT itself."""

    relay: str

    @property
    def relays(self) -> tuple[str, ...]:
        return (self.relay,)

    @property
    def judge_arguments(self) -> list[str]:
        return ["--mode", "aftr"]

    @property
    def ipv4(self) -> IPv4Network:
        return IPv4Network("192.0.0.0/29")


@dataclass(frozen=True)
class Subscriber:
    """One line of an ISP: the delegated prefix and what the CE has to make of it."""

    profile: str
    domain: MAPDomain | AFTR
    prefix: str
    ipv4: str
    psid: int
    ce_address: str
    first_block: int
    port_count: int

    @property
    def on_link(self) -> IPv6Network:
        """The /64 of the WAN link: the first of the user prefix."""
        return IPv6Network((IPv6Network(self.prefix).network_address, 64))

    @property
    def wan_address(self) -> IPv6Address:
        """The WAN interface's own global address."""
        return self.on_link[0x1234]

    @property
    def relay(self) -> str:
        return self.domain.relay

    @property
    def ports(self) -> frozenset[int]:
        """Every port of the subscriber's set."""
        step = 1 << (16 - self.domain.psid_offset)
        return frozenset(
            port for block in range(self.first_block, 1 << 16, step) for port in range(block, block + 16)
        )

    @property
    def private_ports(self) -> range:
        """Where the CE's NAT works before the remap: the gap behind the first block."""
        return range(self.first_block + 16, self.first_block + 16 + self.port_count)

    def owns(self, address: str) -> bool:
        return IPv4Address(address) == IPv4Address(self.ipv4)


_BIGLOBE = MAPDomain(
    "2404:7a82:4c00::/38", "133.209.12.0/22", 18, 4, 8,
    "2001:260:700:1::1:275", ("2001:260:700:1::1:275", "2001:260:700:1::1:276"),
)  # fmt: skip
_OCN = MAPDomain(
    "2400:4050::/34", "153.240.0.0/16", 22, 6, 6,
    "2001:380:a120::9", ("2001:380:a120::9",),
)  # fmt: skip
_NURO = MAPDomain(
    "240d:f::/36", "219.104.128.0/20", 20, 4, 8,
    "2001:3b8:200:ff9::1", ("2001:3b8:200:ff9::1",),
)  # fmt: skip
_V6PLUS = MAPDomain(
    "240b:10::/31", "106.72.0.0/15", 25, 4, 8,
    "2404:9200:225:100::64", ("2404:9200:225:100::64",),
)  # fmt: skip

BIGLOBE = Subscriber(
    "biglobe", _BIGLOBE, "2404:7a82:4d02:4100::/56",
    "133.209.13.2", 65, "2404:7a82:4d02:4100:85:d10d:200:4100", 5136, 240,
)  # fmt: skip
BIGLOBE_NEIGHBOUR = Subscriber(
    "biglobe", _BIGLOBE, "2404:7a82:4fff:ff00::/56",
    "133.209.15.255", 255, "2404:7a82:4fff:ff00:85:d10f:ff00:ff00", 8176, 240,
)  # fmt: skip
OCN = Subscriber(
    "ocn", _OCN, "2400:4050:1c07:3c00::/56",
    "153.240.112.28", 60, "2400:4050:1c07:3c00:99:f070:1c00:3c00", 1984, 1008,
)  # fmt: skip
NURO = Subscriber(
    "nuro", _NURO, "240d:f:a2c:6300::/56",
    "219.104.138.44", 99, "240d:f:a2c:6300:db:688a:2c00:6300", 5680, 240,
)  # fmt: skip
V6PLUS = Subscriber(
    "v6plus", _V6PLUS, "240b:11:58dc:7200::/56",
    "106.73.88.220", 114, "240b:11:58dc:7200:6a:4958:dc00:7200", 5920, 240,
)  # fmt: skip
V6PLUS_NEIGHBOUR = Subscriber(
    "v6plus", _V6PLUS, "240b:10:f354:4c00::/56",
    "106.72.243.84", 76, "240b:10:f354:4c00:6a:48f3:5400:4c00", 5312, 240,
)  # fmt: skip
DSLITE = Subscriber(
    "dslite", AFTR("2404:8e00::feed:100"), "2001:db8:10:1100::/56",
    "192.0.0.2", 0, "2001:db8:10:1100::1234", 0, 0,
)  # fmt: skip
FIXED_IP = Subscriber(
    "fixedip",
    MAPDomain(
        "2001:db8:20:2200::/56", "192.0.2.77/32", 0, 0, 0, "2404:9200:225:100::65", ("2404:9200:225:100::65",)
    ),
    "2001:db8:20:2200::/56", "192.0.2.77", 0, "2001:db8:20:2200:c0:2:4d00:0", 1, 65535,
)  # fmt: skip
"""A whole address by contract: to the relay the same as MAP-E with a rule for one subscriber."""

MAP_SUBSCRIBERS = (BIGLOBE, OCN, NURO, V6PLUS)
