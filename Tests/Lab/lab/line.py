# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated line.

                                  (relays, judge br0)
     lan ──────────── ce ════════════ isp ──────────────────── inet      198.51.100.10, .11
     192.168.1.10     lan0   wan0     │ fe80::1                 │
     192.168.1.11                     │                         │
                                      └── core ─────────────────┘        203.0.113.10
                                  MTU 1300    MTU 1500

Between ce and isp there is only IPv6: the user prefix's first /64 is on the link, and the CE's default route is
fe80::1. The isp namespace holds the border relay. What goes to 203.0.113.10 and what comes from it crosses a hop of
1300 bytes, for path-MTU discovery in both directions.

The ce is a namespace like the others, or on request the machine itself (`router`).

A line may have several customers (each with its own lan and ce), and a customer may have several subscriptions on one
WAN interface, as when an ISP has been changed and both prefixes are still valid.
"""

import shutil
from contextlib import ExitStack
from typing import Self

from .daemon import DATAPLANE
from .isps import AFTR, MAPDomain, Subscriber
from .judge import Judge
from .netns import Namespace, link, scratch_folder
from .servers import Servers

ROUTER = "192.168.1.1"
HOST = "192.168.1.10"
SECOND_HOST = "192.168.1.11"
SERVER = "198.51.100.10"
SECOND_SERVER = "198.51.100.11"
FAR_SERVER = "203.0.113.10"
CORE = "198.18.1.2"
NARROW_MTU = 1300


class Customer:
    """A LAN and its CE. The CE has a WAN address and an IPv6 route, and no IPv4 yet: that is routerd's job."""

    def __init__(
        self, subscribers: tuple[Subscriber, ...], isp: Namespace, port: str, stack: ExitStack, router: Namespace | None
    ) -> None:
        self.subscribers = subscribers
        self.lan = stack.enter_context(Namespace("lan"))
        self.ce = stack.enter_context(router or Namespace("ce"))
        self.ce.sysctl("ipv4/ip_forward", 1)
        self.ce.sysctl("ipv6/conf/all/forwarding", 1)
        self.ce.sysctl("ipv4/icmp_ratelimit", 0)
        link((self.lan, "lan0"), (self.ce, "lan0"))
        isp.ip(f"link add {port} type veth peer name wan0 netns {self.ce.name}")
        isp.ip(
            f"""link set {port} addrgenmode none
                link set {port} up
                addr add fe80::1/64 dev {port} nodad"""
        )
        self.ce.ip(
            f"""addr add {ROUTER}/24 dev lan0
                link set wan0 up
                route add default via fe80::1 dev wan0"""
        )
        for subscriber in subscribers:
            isp.ip(f"route add {subscriber.on_link} dev {port}")
            self.ce.ip(f"addr add {subscriber.wan_address}/64 dev wan0 nodad")
        self.lan.ip(
            f"""addr add {HOST}/24 dev lan0
                addr add {SECOND_HOST}/24 dev lan0
                route add default via {ROUTER}"""
        )

    @property
    def subscriber(self) -> Subscriber:
        return self.subscribers[0]


class Line:
    """Everything between the customers' computers and the servers, as a context manager."""

    def __init__(
        self,
        *customers: Subscriber | tuple[Subscriber, ...],
        offloads: bool = True,
        mesh: bool = False,
        judged: bool = True,
        router: Namespace | None = None,
    ) -> None:
        self._wanted = [each if isinstance(each, tuple) else (each,) for each in customers]
        self._offloads = offloads
        self._mesh = mesh
        self._judged = judged
        self._router = router
        self._stack = ExitStack()
        self.customers: list[Customer] = []
        self.judges: dict[str, Judge] = {}

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *failure: object) -> None:
        self._stack.close()

    @property
    def lan(self) -> Namespace:
        return self.customers[0].lan

    @property
    def ce(self) -> Namespace:
        return self.customers[0].ce

    @property
    def subscriber(self) -> Subscriber:
        return self.customers[0].subscriber

    @property
    def judge(self) -> Judge:
        return self.judges[self.subscriber.profile]

    def assert_clean(self) -> None:
        """Fails if any judge of the line saw a violation."""
        for judge in self.judges.values():
            judge.assert_clean()

    def _build(self) -> None:
        self.directory = scratch_folder()
        self._stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self.isp = self._stack.enter_context(Namespace("isp"))
        self.core = self._stack.enter_context(Namespace("core"))
        self.inet = self._stack.enter_context(Namespace("inet"))
        self._internet()
        for number, subscribers in enumerate(self._wanted):
            self.customers.append(Customer(subscribers, self.isp, f"down{number}", self._stack, self._router))
        if not self._offloads:
            self._switch_offloads_off()
        if self._judged:
            self._add_judges()
        self.servers = Servers(self.inet, (SERVER, SECOND_SERVER, FAR_SERVER))
        self._stack.callback(self.servers.close)

    def _add_judges(self) -> None:
        domains = {each.profile: each.domain for customer in self.customers for each in customer.subscribers}
        for profile, domain in domains.items():
            others = [relay for other in domains.values() if other != domain for relay in other.relays]
            self.judges[profile] = self._judge(domain, others)

    def _internet(self) -> None:
        for router in (self.isp, self.core, self.inet):
            router.sysctl("ipv4/ip_forward", 1)
            router.sysctl("ipv6/conf/all/forwarding", 1)
            router.sysctl("ipv4/icmp_ratelimit", 0)
            router.sysctl("ipv4/conf/all/rp_filter", 0)
        link((self.isp, "up0"), (self.inet, "up0"))
        link((self.isp, "narrow0"), (self.core, "narrow0"), mtu=NARROW_MTU)
        link((self.core, "far0"), (self.inet, "far0"))
        self.isp.ip(
            f"""addr add 198.18.0.1/30 dev up0
                addr add 198.18.1.1/30 dev narrow0
                route add 198.51.100.0/24 via 198.18.0.2
                route add 203.0.113.0/24 via {CORE}"""
        )
        self.core.ip(
            f"""addr add {CORE}/30 dev narrow0
                addr add 198.18.2.1/30 dev far0
                route add default via 198.18.1.1
                route add 203.0.113.0/24 via 198.18.2.2"""
        )
        self.inet.ip(
            f"""addr add 198.18.0.2/30 dev up0
                addr add 198.18.2.2/30 dev far0
                addr add {SERVER}/32 dev lo
                addr add {SECOND_SERVER}/32 dev lo
                addr add {FAR_SERVER}/32 dev lo
                route add default via 198.18.0.1
                route add default via 198.18.2.1 table 13
                rule add from 203.0.113.0/24 lookup 13"""
        )

    def _judge(self, domain: MAPDomain | AFTR, other_relays: list[str]) -> Judge:
        """Starts a judge that leaves packets to the relays of other ISPs to their judges."""
        device = f"br{len(self.judges)}"
        options = [word for relay in other_relays for word in ("--ignore", relay)]
        if self._mesh:
            options.append("--mesh")
        if self._offloads and DATAPLANE == "ip6tnl":  # the kernel leaves inner checksums to a card, which veth is not
            options.append("--accept-partial-checksums")
        judge = Judge(self.isp, domain, device, self.directory, *options)
        self._stack.callback(judge.close)
        self._keep_the_kernel_quiet(domain)
        if isinstance(domain, AFTR):
            self.isp.ip(f"route add 192.168.1.0/24 dev {device}")
            self.isp.nft(
                f"""table ip aftr {{
                    chain postrouting {{
                        type nat hook postrouting priority srcnat
                        iifname {device} masquerade
                    }}
                }}"""
            )
        return judge

    def _keep_the_kernel_quiet(self, domain: MAPDomain | AFTR) -> None:
        """Where ip6_tunnel is loaded, the kernel refuses each packet that the judge takes: ICMPv6 type 1 code 4."""
        self.isp.nft(
            f"""table ip6 labbr {{
                chain output {{
                    type filter hook output priority filter
                    ip6 saddr {{ {", ".join(domain.relays)} }} icmpv6 type 1 icmpv6 code 4 @th,112,8 4 drop
                }}
            }}"""
        )

    def _switch_offloads_off(self) -> None:
        namespaces = [self.isp, self.core, self.inet]
        namespaces += [side for customer in self.customers for side in (customer.lan, customer.ce)]
        for namespace in namespaces:
            for device in veths(namespace):
                switch_features(namespace, device, tx=False, rx=False, tso=False, gso=False, gro=False)


def switch_features(namespace: Namespace, device: str, **features: bool) -> None:
    """Switches a device's offloads."""
    words = [word for name, on in features.items() for word in (name, "on" if on else "off")]
    namespace.run("ethtool", "-K", device, *words)


def veths(namespace: Namespace) -> list[str]:
    """The names of the cable ends in a namespace."""
    out = namespace.run("ip", "-o", "link", "show", "type", "veth").stdout
    return [line.split(": ")[1].split("@")[0] for line in out.splitlines()]
