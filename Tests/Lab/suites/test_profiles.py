# SPDX-License-Identifier: GPL-3.0-or-later
"""IPv4 works on the line of every MAP-E ISP, with the offloads of the virtual cables on and off.

    lan ---- ce ==== isp (judge) ---- inet        SERVER
                      '---- core ------'          FAR_SERVER, behind a hop of 1300 bytes

Offloads matter: a virtual cable normally carries packets whose checksum is still to be filled in, which hides every
mistake in rewriting it; a real network card does not. After each test the judge must have seen no violation.
"""

import errno

import pytest

from lab import clients
from lab.daemon import Routerd
from lab.judge import BR_ADDRESS, TUNNEL_MTU
from lab.line import CORE, FAR_SERVER, NARROW_MTU, ROUTER, SERVER, Line
from lab.netns import Namespace
from lab.outside import Sniffer, mss

@pytest.fixture(params=["lan", "router"])
def source(request: pytest.FixtureRequest, line: Line) -> Namespace:
    """A computer of the LAN, and the router itself."""
    return line.lan if request.param == "lan" else line.ce


def test_status_names_the_line(running: tuple[Line, Routerd]) -> None:
    line, routerd = running
    status = routerd.status()
    subscriber = line.subscriber
    assert status["state"] == "up"
    assert status["profile"] == subscriber.profile
    assert status["requestedProfile"] == "auto"
    softwire = status["softwire"]
    assert softwire["kind"] == "map-e"
    assert softwire["ipv4"] == subscriber.ipv4
    assert softwire["psid"] == subscriber.psid
    assert softwire["ceAddress"] == subscriber.ce_address
    assert softwire["borderRelay"] == subscriber.relay
    assert softwire["portCount"] == subscriber.port_count
    ports = {port for first, last in softwire["portRanges"] for port in range(first, last + 1)}
    assert ports == subscriber.ports


def test_ping(line: Line, source: Namespace) -> None:
    clients.ping(source, SERVER)


def test_tcp_download(line: Line, source: Namespace) -> None:
    clients.fetch(source, SERVER, 1_000_003)


def test_tcp_both_ways(line: Line, source: Namespace) -> None:
    clients.upload(source, SERVER, 1_000_003)
    assert {address for address, _ in line.servers.callers} == {line.subscriber.ipv4}
    assert {port for _, port in line.servers.callers} <= line.subscriber.ports


def test_udp(line: Line, source: Namespace) -> None:
    clients.udp_echo(source, SERVER)


def test_udp_without_checksum(line: Line, source: Namespace) -> None:
    clients.udp_echo(source, SERVER, checksum=False)
    assert line.judge.verdict().info["udp-zero-checksum"] > 0, "the checksum 0 did not stay 0"


def test_udp_larger_than_the_tunnel(line: Line, source: Namespace) -> None:
    """Fragments: nothing may be lost or let through by its address alone."""
    clients.udp_echo(source, SERVER, sizes=(1500, 4000))


@pytest.mark.parametrize("icmp", [False, True], ids=["udp", "icmp"])
def test_traceroute(line: Line, icmp: bool) -> None:
    assert clients.traceroute(line.lan, SERVER, icmp=icmp) == [ROUTER, BR_ADDRESS, SERVER]
    assert clients.traceroute(line.lan, FAR_SERVER, icmp=icmp) == [ROUTER, BR_ADDRESS, CORE, FAR_SERVER]


@pytest.mark.parametrize("icmp", [False, True], ids=["udp", "icmp"])
def test_traceroute_from_the_router(line: Line, icmp: bool) -> None:
    assert clients.traceroute(line.ce, FAR_SERVER, icmp=icmp) == [BR_ADDRESS, CORE, FAR_SERVER]


def test_mss_is_clamped_both_ways(line: Line) -> None:
    """No TCP segment may need a fragment, also where path-MTU discovery is broken."""
    with Sniffer(line.lan, "lan0") as inside, Sniffer(line.inet, "up0") as outside:
        clients.fetch(line.lan, SERVER, 1)
        assert max(mss(inside.packets(), source=SERVER)) == TUNNEL_MTU - 40
        assert max(mss(outside.packets(), source=line.subscriber.ipv4)) == TUNNEL_MTU - 40


def test_path_mtu_of_the_tunnel(line: Line) -> None:
    assert clients.path_mtu(line.lan, SERVER) == TUNNEL_MTU


def test_path_mtu_behind_a_narrow_hop(line: Line, source: Namespace) -> None:
    assert clients.path_mtu(source, FAR_SERVER) == NARROW_MTU


def test_tcp_through_a_narrow_hop(line: Line, source: Namespace) -> None:
    clients.upload(source, FAR_SERVER, 1_000_003)
    clients.fetch(source, FAR_SERVER, 1_000_003)


def test_closed_port_is_refused(line: Line, source: Namespace) -> None:
    assert clients.udp_error(source, SERVER) == errno.ECONNREFUSED
