# SPDX-License-Identifier: GPL-3.0-or-later
"""The line comes and goes, and routerd follows without being asked.

    lan ---- ce ==== isp (judge of BIGLOBE) ---- inet        SERVER

The WAN interface is missing at the start, loses its link, its addresses and its prefix; the address of the softwire is
taken by somebody else. In the end IPv4 works each time, and the status says in between what is missing.
"""

import time
from collections.abc import Iterator

import pytest

from lab import clients
from lab.daemon import Routerd
from lab.isps import BIGLOBE, BIGLOBE_NEIGHBOUR
from lab.line import SERVER, Line
from lab.waiting import wait_for


@pytest.fixture
def line() -> Iterator[Line]:
    with Line(BIGLOBE) as line:
        yield line
        line.assert_clean()


def give_address(line: Line, address: object = BIGLOBE.wan_address) -> None:
    """What the link loses when it goes down, as the owner's network set-up puts it back."""
    line.ce.ip(
        f"""link set wan0 up
            addr replace {address}/64 dev wan0 nodad
            route replace default via fe80::1 dev wan0"""
    )


def test_the_interface_comes_later(line: Line) -> None:
    line.ce.ip("link set wan0 down\nlink set wan0 name later0")
    with Routerd(line.ce) as routerd:
        routerd.start()
        assert routerd.status()["reason"] == "there is no interface wan0"
        line.ce.ip("link set later0 name wan0")
        give_address(line)
        routerd.wait_up()
        clients.ping(line.lan, SERVER)


def test_the_link_goes_down_and_up(line: Line) -> None:
    with Routerd(line.ce) as routerd:
        routerd.start_up()
        for _ in range(3):
            line.ce.ip("link set wan0 down")
            routerd.wait_state("waiting")
            give_address(line)
            routerd.wait_up()
        clients.ping(line.lan, SERVER)
        line.isp.ip("link set down0 down")
        wait_for("the warning", lambda: any("wan0" in warning for warning in routerd.status()["warnings"]))


def test_renumbering_while_traffic_flows(line: Line) -> None:
    old, new = BIGLOBE, BIGLOBE_NEIGHBOUR
    line.isp.ip(f"route add {new.on_link} dev down0")
    with Routerd(line.ce) as routerd:
        routerd.start_up()
        with clients.Pinger(line.lan, SERVER) as pinger:
            time.sleep(0.3)
            give_address(line, new.wan_address)
            line.ce.ip(f"addr change {old.wan_address}/64 dev wan0 preferred_lft 0")
            wait_for("the new address", lambda: routerd.status().get("softwire", {}).get("ipv4") == new.ipv4)
            line.ce.ip(f"addr del {old.wan_address}/64 dev wan0")
            time.sleep(0.5)
            pinger.stop()
            assert pinger.longest_silence < 1, f"silent for {pinger.longest_silence:.2f} s"
        assert routerd.status()["state"] == "up"
        addresses = line.ce.run("ip", "-o", "addr", "show").stdout
        assert old.ce_address not in addresses and old.ipv4 not in addresses
        clients.ping(line.lan, SERVER)


def test_another_router_has_the_address(line: Line) -> None:
    line.isp.ip(f"addr add {BIGLOBE.ce_address}/128 dev down0 nodad")
    with Routerd(line.ce) as routerd:
        routerd.start()
        assert "in use by another device" in routerd.wait_state("failed")["reason"]
        line.isp.ip(f"addr del {BIGLOBE.ce_address}/128 dev down0")
        routerd.wait_up(timeout=45)  # it is tried again every half minute
        clients.ping(line.lan, SERVER)


def test_a_device_with_our_name_is_left_alone(line: Line) -> None:
    line.ce.ip("link add softwire0 type veth peer name other0")
    with Routerd(line.ce) as routerd:
        routerd.start()
        assert "softwire0 is taken" in routerd.wait_state("failed")["reason"]
        assert "softwire0" in line.ce.run("ip", "link").stdout
        line.ce.ip("link del softwire0")
        routerd.wait_up()
        clients.ping(line.lan, SERVER)
