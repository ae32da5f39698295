# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole fixed IPv4 address over IPv4-in-IPv6, by the numbers of a contract.

    lan ---- ce ==== isp (relay 2404:9200:225:100::65) ---- inet        SERVER
                      '----------- core ---------------'                FAR_SERVER, behind 1300 bytes
"""

from collections.abc import Iterator

import pytest

from lab import clients
from lab.daemon import Routerd
from lab.hosts import Service, call_tcp, call_udp
from lab.isps import FIXED_IP
from lab.judge import TUNNEL_MTU
from lab.line import FAR_SERVER, HOST, NARROW_MTU, SERVER, Line
from lab.netns import Namespace

CONTRACT = {"address": FIXED_IP.ipv4, "relay": FIXED_IP.relay}
CONFIG = {
    "profile": "fixedip",
    "fixed_ip": CONTRACT,
    "forward": [
        {"protocol": "tcp", "external": 80, "internal": f"{HOST}:8080"},
        {"protocol": "udp", "external": 53, "internal": f"{HOST}:8080"},
    ],
}


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Line, Routerd]]:
    with Line(FIXED_IP) as line, Routerd(line.ce, CONFIG) as routerd:
        routerd.start_up()
        yield line, routerd


@pytest.fixture
def line(running: tuple[Line, Routerd]) -> Iterator[Line]:
    line, _ = running
    line.judge.reset()
    yield line
    line.assert_clean()


def test_status(running: tuple[Line, Routerd]) -> None:
    softwire = running[1].status()["softwire"]
    assert softwire["kind"] == "fixed-ip"
    assert softwire["ipv4"] == FIXED_IP.ipv4
    assert softwire["ceAddress"] == FIXED_IP.ce_address
    assert softwire["borderRelay"] == FIXED_IP.relay


@pytest.mark.parametrize("source", ["lan", "ce"])
def test_traffic(line: Line, source: str) -> None:
    namespace: Namespace = getattr(line, source)
    clients.ping(namespace, SERVER)
    clients.fetch(namespace, SERVER, 1_000_003)
    clients.upload(namespace, SERVER, 1_000_003)
    clients.udp_echo(namespace, SERVER)


def test_path_mtu(line: Line) -> None:
    assert clients.path_mtu(line.lan, SERVER) == TUNNEL_MTU
    assert clients.path_mtu(line.lan, FAR_SERVER) == NARROW_MTU


def test_every_port_can_be_forwarded(line: Line) -> None:
    with Service(line.lan, HOST, 8080, "host"):
        assert call_tcp(line.inet, (FIXED_IP.ipv4, 80), local=SERVER)[:2] == ("host", SERVER)
        assert call_udp(line.inet, (FIXED_IP.ipv4, 53), local=SERVER)[:2] == ("host", SERVER)


@pytest.mark.parametrize(
    "contract, complaint",
    [
        ({"relay": FIXED_IP.relay}, "[fixed_ip] address: this is missing"),
        ({"address": FIXED_IP.ipv4}, "[fixed_ip] relay: this is missing"),
        ({**CONTRACT, "address": "192.0.2.300"}, "[fixed_ip] address"),
        ({**CONTRACT, "interface_id": "c0:2"}, "[fixed_ip] interface_id"),
    ],
)
def test_a_wrong_contract_is_explained(line: Line, contract: dict[str, str], complaint: str) -> None:
    with Routerd(line.ce, {"profile": "fixedip"}) as other:
        other.configure({"fixed_ip": contract})
        refused = other.cli("check-config", check=False)
        assert refused.returncode == 78
        assert complaint in refused.stderr


def test_a_contract_for_another_line_is_refused(running: tuple[Line, Routerd]) -> None:
    line, routerd = running
    routerd.configure({"fixed_ip": {**CONTRACT, "interface_id": "2001:db8:99::c0:2:4d00:0"}})
    try:
        reply = routerd.cli("calc", FIXED_IP.prefix, "--profile", "fixedip", check=False)
        assert reply.returncode == 3
        assert "is for another line" in reply.stderr
    finally:
        routerd.configure({"fixed_ip": {**CONTRACT, "interface_id": "::c0:2:4d00:0"}})
    reply = routerd.cli("calc", FIXED_IP.prefix, "--profile", "fixedip", "--json")
    assert FIXED_IP.ce_address in reply.stdout
