# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing the dataplane of a running daemon, and what is the same with either.

    lan ---- ce ==== isp (relays 2001:260:700:1::1:275 and ::276) ---- inet        SERVER

One device with `tun`, one for each relay with `ip6tnl`. Only a kernel with ip6_tunnel can do both.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from lab import clients
from lab.daemon import Routerd
from lab.isps import BIGLOBE
from lab.line import SERVER, Line
from lab.servers import HOLD
from lab.snapshot import difference, generation, settled

DEVICES = {"tun": ["softwire0"], "ip6tnl": ["softwire0", "softwire1"]}


@pytest.fixture(scope="module")
def line() -> Iterator[Line]:
    # Without offloads, so that inner checksums are complete whichever dataplane sends.
    with Line(BIGLOBE, offloads=False) as line:
        probe = line.ce.run("ip", "link", "add", "probe0", "type", "ip6tnl", "mode", "ipip6", "local", "::1", check=False)
        if probe.returncode != 0:
            pytest.skip("this kernel has no ip6_tunnel")
        line.ce.ip("link delete probe0")
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


def without_devices(state: dict[str, Any]) -> dict[str, Any]:
    """Of a snapshot what does not depend on the dataplane: the default route and the table but for its set of devices."""
    table = [
        item
        for item in state["nftables"]
        if not (isinstance(item, dict) and item.get("set", {}).get("type") == "ifname")
    ]
    default = [route for route in state["routes4"] if route.get("dst") == "default"]
    return {"nftables": table, "default": default}


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
        assert difference(without_devices(before), without_devices(settled(line.ce))) == ""


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
