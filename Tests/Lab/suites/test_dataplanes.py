# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing the dataplane of a running daemon, and what is the same with either.

    lan ---- ce ==== isp (relays 2001:260:700:1::1:275 and ::276) ---- inet        SERVER

One device with `tun`, one for each relay with `ip6tnl`; all else in the kernel is the same, on the line of every ISP.
Only a kernel with ip6_tunnel can do both.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from lab import clients
from lab.daemon import Routerd
from lab.isps import BIGLOBE, DSLITE, MAP_SUBSCRIBERS, Subscriber
from lab.line import SERVER, Line
from lab.servers import HOLD
from lab.snapshot import difference, generation, settled

DEVICES = {"tun": ["softwire0"], "ip6tnl": ["softwire0", "softwire1"]}


def skip_without_tunnels(line: Line) -> None:
    probe = line.ce.run("ip", "link", "add", "probe0", "type", "ip6tnl", "mode", "ipip6", "local", "::1", check=False)
    if probe.returncode != 0:
        pytest.skip("this kernel has no ip6_tunnel")
    line.ce.ip("link delete probe0")


@pytest.fixture(scope="module")
def line() -> Iterator[Line]:
    # Without offloads, so that inner checksums are complete whichever dataplane sends.
    with Line(BIGLOBE, offloads=False) as line:
        skip_without_tunnels(line)
        yield line


@pytest.fixture
def routerd(line: Line) -> Iterator[Routerd]:
    with Routerd(line.ce, {"softwire": {"dataplane": "tun"}}) as routerd:
        routerd.start_up()
        line.servers.forget()
        yield routerd
        routerd.stop()
        routerd.cli("teardown")
        left = line.ce.run("ip", "-br", "link").stdout
        assert "softwire" not in left, left
    line.judge.assert_clean()


def kinds(line: Line) -> dict[str, str]:
    """The kind of each device of the softwire."""
    shown = {}
    for kind in DEVICES:
        for row in line.ce.run("ip", "-br", "link", "show", "type", kind).stdout.splitlines():
            name = row.split()[0].partition("@")[0]
            if name.startswith("softwire"):
                shown[name] = kind
    return shown


FIRST = "softwire0"


def is_further(device: str | None) -> bool:
    """Whether this is a device for another relay, which only the kernel's tunnels need."""
    return device is not None and device != FIRST and device.startswith("softwire")


def without_devices(state: dict[str, Any]) -> dict[str, Any]:
    """Of a snapshot all that does not depend on the dataplane. What does: the devices, what the kernel itself puts on
    them, and the table's set of their names."""
    table = [
        item
        for item in state["nftables"]["nftables"]
        if "metainfo" not in item and item.get("set", {}).get("type") != "ifname"
    ]
    addresses = {each["ifname"]: each["addr_info"] for each in state["addresses"] if each}
    on_first = [item for item in addresses.pop(FIRST) if item["family"] == "inet"]
    elsewhere = {device: found for device, found in addresses.items() if not is_further(device)}
    routes = [
        route
        for route in state["routes4"] + state["routes6"]
        if not is_further(route.get("dev")) and (route.get("dev") != FIRST or route.get("protocol") != "kernel")
    ]
    settings = {
        name: value
        for name, value in state["settings"].items()
        if not is_further(device := name.split("/")[2])
        and (device != FIRST or name in (f"ipv4/conf/{FIRST}/forwarding", f"ipv4/conf/{FIRST}/rp_filter"))
    }
    return {
        "table": table,
        "addresses": {FIRST: on_first, **elsewhere},
        "routes": routes,
        "rules": state["rules4"] + state["rules6"],
        "settings": settings,
        "MTU": [link["mtu"] for link in state["links"] if link.get("ifname") == FIRST],
    }


def assert_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    if before != after:
        pytest.fail(difference(before, after))


@pytest.mark.parametrize("subscriber", [*MAP_SUBSCRIBERS, DSLITE], ids=lambda subscriber: f"{subscriber.profile}@")
def test_the_end_state_is_the_same(subscriber: Subscriber) -> None:
    config = {"profile": "dslite", "dslite": {"aftr": "transix"}} if subscriber is DSLITE else {}
    with Line(subscriber, offloads=False) as line:
        skip_without_tunnels(line)
        states = []
        for dataplane in DEVICES:
            with Routerd(line.ce, {**config, "softwire": {"dataplane": dataplane}}) as routerd:
                assert routerd.start_up().status()["dataplane"] == dataplane
                clients.ping(line.lan, SERVER)
                states.append(without_devices(settled(line.ce)))
                routerd.stop()
                routerd.cli("teardown")
        assert len(states[0]["table"]) > 10 and states[0]["routes"] and states[0]["addresses"][FIRST]
        assert_same(*states)
        line.assert_clean()


def test_from_one_to_the_other_and_back(line: Line, routerd: Routerd) -> None:
    before = settled(line.ce)
    for dataplane in ("ip6tnl", "tun", "ip6tnl", "tun"):
        status = routerd.reload({"softwire": {"dataplane": dataplane}})
        assert status["state"] == "up", routerd.log
        assert status["dataplane"] == dataplane
        assert status["softwire"]["devices"] == DEVICES[dataplane]
        assert kinds(line) == dict.fromkeys(DEVICES[dataplane], dataplane)
        clients.ping(line.lan, SERVER)
        clients.udp_echo(line.lan, SERVER)
        assert_same(without_devices(before), without_devices(settled(line.ce)))


def test_a_connection_lives_through_the_change(line: Line, routerd: Routerd) -> None:
    with clients.hold(line.lan, [(SERVER, HOLD)] * 20) as opened:
        assert opened.failed == []
        for dataplane in ("ip6tnl", "tun"):
            routerd.reload({"softwire": {"dataplane": dataplane}})
            opened.assert_alive()


def test_the_kernel_goes_on_without_the_daemon(line: Line, routerd: Routerd) -> None:
    routerd.reload({"softwire": {"dataplane": "ip6tnl"}})
    state, rules = settled(line.ce), generation(line.ce)
    routerd.kill()
    clients.ping(line.lan, SERVER)
    clients.udp_echo(line.lan, SERVER)
    routerd.start_up()
    assert difference(state, settled(line.ce)) == ""
    assert generation(line.ce) == rules
    # There was nothing to make or to change.
    assert "the device" not in routerd.log, routerd.log


def test_auto_takes_the_kernel(line: Line, routerd: Routerd) -> None:
    assert routerd.reload({"softwire": {"dataplane": "auto"}})["dataplane"] == "ip6tnl"
    status = routerd.reload({"softwire": {"dataplane": "auto", "mesh": True}})
    assert status["dataplane"] == "tun"
    assert routerd.log.count("ip6tnl cannot reach other subscribers directly (mesh)") == 1
