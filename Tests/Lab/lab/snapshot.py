# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole network state of a namespace as one comparable value, and the generation of its nftables rules."""

import json
import socket
import struct
from pathlib import Path
from typing import Any

from .netns import Namespace
from .waiting import patient, wait_for

_NETLINK_NETFILTER = 12
_GETGEN = (10 << 8) | 16  # NFNL_SUBSYS_NFTABLES, NFT_MSG_GETGEN
_GEN_ID = 1
_VOLATILE = {"handle", "expires", "stats64", "stats", "valid_life_time", "preferred_life_time"}


def snapshot(namespace: Namespace) -> dict[str, Any]:
    """Rules, links, addresses, routes, policy rules and per-device settings, without counters and handles."""
    queries = {
        "links": ["ip", "-j", "-d", "link"],
        "addresses": ["ip", "-j", "addr"],
        "routes4": ["ip", "-j", "-4", "route", "show", "table", "all"],
        "routes6": ["ip", "-j", "-6", "route", "show", "table", "all"],
        "rules4": ["ip", "-j", "-4", "rule"],
        "rules6": ["ip", "-j", "-6", "rule"],
        "nftables": ["nft", "-s", "-j", "list", "ruleset"],
    }
    state = {name: _stable(json.loads(namespace.run(*argv).stdout or "[]")) for name, argv in queries.items()}
    for name in ("routes4", "routes6"):  # the kernel lists equal routes in the order of their making
        state[name].sort(key=lambda route: json.dumps(route, sort_keys=True))
    state["settings"] = _settings(namespace)
    return state


def settled(namespace: Namespace) -> dict[str, Any]:
    """The state once nothing in it is provisional: no address is still under duplicate detection."""

    def no_tentative_address() -> bool:
        return namespace.run("ip", "-6", "addr", "show", "tentative").stdout == ""

    wait_for("duplicate address detection to end", no_tentative_address)
    return snapshot(namespace)


def difference(before: dict[str, Any], after: dict[str, Any]) -> str:
    """What changed between two snapshots, for people; empty if nothing did."""
    lines: list[str] = []
    for name in before:
        old, new = _items(before[name]), _items(after[name])
        lines += [f"{name}: - {item}" for item in old if item not in new]
        lines += [f"{name}: + {item}" for item in new if item not in old]
        if before[name] != after[name] and not lines:
            lines.append(f"{name}: another order")
    return "\n".join(lines)


def generation(namespace: Namespace) -> int:
    """The nftables generation id: it grows with every transaction, also one that changes nothing."""
    with namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as netlink:
        netlink.settimeout(patient(2))
        netlink.send(struct.pack("=IHHIIBBH", 20, _GETGEN, 1, 1, 0, 0, 0, 0))
        answer = netlink.recv(4096)
    offset = 20
    while offset < len(answer):
        length, kind = struct.unpack_from("=HH", answer, offset)
        if kind == _GEN_ID:
            return struct.unpack_from(">I", answer, offset + 4)[0]
        offset += (length + 3) & ~3
    raise AssertionError("the kernel told no generation id")


def _items(part: Any) -> list[str]:
    if isinstance(part, dict):
        if "nftables" in part:
            return _items(part["nftables"])
        return [f"{key} = {value}" for key, value in part.items()]
    return [json.dumps(item, sort_keys=True) for item in part]


def _stable(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _stable(item) for key, item in value.items() if key not in _VOLATILE}
        if kept.get("operstate") == "UNKNOWN":  # a TUN device's first carrier is not announced, its second is
            kept["operstate"] = "UP"
        return kept
    if isinstance(value, list):
        return [_stable(item) for item in value if item != {}]
    return value


def _settings(namespace: Namespace) -> dict[str, str]:
    found: dict[str, str] = {}
    with namespace.entered():
        for family in ("ipv4", "ipv6"):
            for path in sorted(Path("/proc/sys/net", family, "conf").glob("*/*")):
                try:
                    found[str(path.relative_to("/proc/sys/net"))] = path.read_text().strip()
                except OSError:
                    continue  # stable_secret cannot be read before it is set
    return found
