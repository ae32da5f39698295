# SPDX-License-Identifier: GPL-3.0-or-later
"""IPv4 works over DS-Lite: the AFTR does the NAT, the CE only encapsulates.

    lan ---- ce (B4) ==== isp (AFTR 2404:8e00::feed:100, NAT) ---- inet        SERVER
                           '------------- core ---------------'                FAR_SERVER, behind 1300 bytes
"""

import errno
from collections.abc import Iterator

import pytest

from lab import clients
from lab.daemon import Routerd
from lab.isps import DSLITE
from lab.judge import TUNNEL_MTU
from lab.line import FAR_SERVER, HOST, NARROW_MTU, SERVER, Line
from lab.netns import Namespace
from lab.outside import Sniffer, Stranger, mss, tunnelled, udp
from lab.servers import ECHO

Running = tuple[Line, Routerd]


@pytest.fixture(scope="module", params=[True, False], ids=["offloads@", "plain@"])
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    config = {"profile": "dslite", "dslite": {"aftr": "transix"}}
    with Line(DSLITE, offloads=request.param) as line, Routerd(line.ce, config) as routerd:
        routerd.start_up()
        yield line, routerd


@pytest.fixture
def line(running: Running) -> Iterator[Line]:
    line, _ = running
    line.judge.reset()
    yield line
    line.assert_clean()


@pytest.fixture(params=["lan", "router"])
def source(request: pytest.FixtureRequest, line: Line) -> Namespace:
    return line.lan if request.param == "lan" else line.ce


def test_status(running: Running) -> None:
    status = running[1].status()
    assert status["profile"] == "dslite"
    assert status["softwire"]["kind"] == "ds-lite"
    assert status["softwire"]["borderRelay"] == DSLITE.relay
    assert status["softwire"]["ipv4"] == "192.0.0.2"


def test_ping(line: Line, source: Namespace) -> None:
    clients.ping(source, SERVER)


def test_tcp(line: Line, source: Namespace) -> None:
    clients.fetch(source, SERVER, 1_000_003)
    clients.upload(source, SERVER, 1_000_003)


def test_udp(line: Line, source: Namespace) -> None:
    clients.udp_echo(source, SERVER)
    clients.udp_echo(source, SERVER, checksum=False)


def test_no_nat_in_the_ce(running: Running, line: Line) -> None:
    with Sniffer(line.isp, "down0") as wan:
        clients.udp_echo(line.lan, SERVER, sizes=(10,))
        inner = tunnelled(wan.packets(), running[1].status()["softwire"]["ceAddress"])
    assert {packet.src for packet in inner} == {HOST}
    assert "snat" not in line.ce.run("nft", "list", "ruleset").stdout


def test_mss_is_clamped_both_ways(line: Line) -> None:
    with Sniffer(line.lan, "lan0") as inside, Sniffer(line.inet, "up0") as outside:
        clients.fetch(line.lan, SERVER, 1)
        assert max(mss(inside.packets(), source=SERVER)) == TUNNEL_MTU - 40
        assert max(mss(outside.packets(), source="198.18.0.1")) == TUNNEL_MTU - 40


def test_path_mtu(line: Line) -> None:
    assert clients.path_mtu(line.lan, SERVER) == TUNNEL_MTU
    assert clients.path_mtu(line.lan, FAR_SERVER) == NARROW_MTU


def test_closed_port_is_refused(line: Line) -> None:
    assert clients.udp_error(line.lan, SERVER) == errno.ECONNREFUSED


def test_spoofed_aftr(running: Running, line: Line) -> None:
    routerd = running[1]
    ce = routerd.status()["softwire"]["ceAddress"]
    before = routerd.counters().get("wrong_outer_source", 0)
    with clients.udp_socket(line.lan, port=40000), Stranger(line.isp) as stranger, Sniffer(line.lan, "lan0") as lan:
        stranger.send(DSLITE.relay, ce, udp((SERVER, ECHO), (HOST, 40000), b"from the aftr"))
        assert lan.saw(b"from the aftr", 0.5), "the control did not arrive"
        stranger.send("2001:db8::bad", ce, udp((SERVER, ECHO), (HOST, 40000), b"from a stranger"))
        assert not lan.saw(b"from a stranger", 0.5)
    after = routerd.counters()
    assert after.get("wrong_outer_source", 0) + after.get("tun_wrong_outer_source", 0) > before


def test_the_literal_address_of_an_aftr() -> None:
    config = {"profile": "dslite", "dslite": {"aftr": DSLITE.relay}}
    with Line(DSLITE) as line, Routerd(line.ce, config) as routerd:
        routerd.start_up()
        clients.ping(line.lan, SERVER)
        line.assert_clean()
