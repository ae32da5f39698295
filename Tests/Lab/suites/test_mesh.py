# SPDX-License-Identifier: GPL-3.0-or-later
"""Mesh: two CEs of one rule exchange packets directly, and each checks the other's outer against its inner source.

    lan A ---- ce A ====.
                         isp (judge) ---- inet        SERVER
    lan B ---- ce B ====`

The line is v6plus, whose rules are known to allow mesh. With mesh switched off the same exchange goes by the relay.
Both hosts learn their outside address and port from a server, then write to each other, as calls and games do.
"""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from lab import clients
from lab.daemon import Routerd
from lab.isps import V6PLUS, V6PLUS_NEIGHBOUR
from lab.line import SERVER, Line
from lab.outside import Sniffer, Stranger, tunnelled, udp
from lab.waiting import patient

Address = tuple[str, int]


@pytest.fixture(scope="module", params=[True, False], ids=["mesh@", "hub@"])
def mesh(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture(scope="module")
def running(mesh: bool) -> Iterator[tuple[Line, list[Routerd]]]:
    with ExitStack() as stack:
        line = stack.enter_context(Line(V6PLUS, V6PLUS_NEIGHBOUR, mesh=True))
        daemons = [
            stack.enter_context(Routerd(customer.ce, {"softwire": {"mesh": mesh}})) for customer in line.customers
        ]
        for daemon in daemons:
            daemon.start_up()
        yield line, daemons


@pytest.fixture
def pair(running: tuple[Line, list[Routerd]]) -> Iterator[tuple[socket.socket, Address, socket.socket, Address]]:
    """A socket behind each CE, with its outside address, each already expecting the other."""
    line, _ = running
    with clients.udp_socket(line.customers[0].lan) as a, clients.udp_socket(line.customers[1].lan) as b:
        outside_a, outside_b = clients.mirror(a, SERVER), clients.mirror(b, SERVER)
        a.sendto(b"open", outside_b)
        b.sendto(b"opened", outside_a)
        assert a.recv(64) == b"opened"
        b.settimeout(patient(0.2))
        with suppress(TimeoutError):  # b's CE may or may not have expected a's first packet
            b.recv(64)
        b.settimeout(patient(3))
        yield a, outside_a, b, outside_b


def test_packets_go_directly_only_with_mesh(
    running: tuple[Line, list[Routerd]],
    mesh: bool,
    pair: tuple[socket.socket, Address, socket.socket, Address],
) -> None:
    line, _ = running
    a, outside_a, b, outside_b = pair
    line.judge.reset()
    with Sniffer(line.isp, "down0") as wan:
        for number in range(20):
            a.sendto(f"to b {number}".encode(), outside_b)
            assert b.recvfrom(64) == (f"to b {number}".encode(), outside_a)
            b.sendto(f"to a {number}".encode(), outside_a)
            assert a.recvfrom(64) == (f"to a {number}".encode(), outside_b)
        assert len(tunnelled(wan.packets(), V6PLUS.ce_address)) == 20
        assert len(tunnelled(wan.packets(), V6PLUS_NEIGHBOUR.ce_address)) == (20 if mesh else 0)
    verdict = line.judge.verdict()
    assert verdict.info["uplink-packets"] == (0 if mesh else 40)
    line.assert_clean()


def test_the_internet_still_goes_through_the_relay(running: tuple[Line, list[Routerd]]) -> None:
    line, _ = running
    line.judge.reset()
    for customer in line.customers:
        clients.ping(customer.lan, SERVER)
        clients.fetch(customer.lan, SERVER, 100_000)
    assert line.judge.verdict().info["uplink-packets"] > 0
    line.assert_clean()


def test_a_ce_may_only_send_as_itself(
    running: tuple[Line, list[Routerd]],
    mesh: bool,
    pair: tuple[socket.socket, Address, socket.socket, Address],
) -> None:
    """From B's outer address only B's IPv4 address and ports may come; without mesh not even those."""
    line, daemons = running
    _, outside_a, b, outside_b = pair
    other_port = next(port for port in sorted(V6PLUS.ports) if port not in V6PLUS_NEIGHBOUR.ports)
    forged = {
        b"another address": ("198.51.100.10", outside_b[1]),
        b"another port": (outside_b[0], other_port),
        b"our own address": outside_a,
    }
    before = sum(daemons[0].counters().values())
    with Stranger(line.isp) as stranger, Sniffer(line.customers[0].lan, "lan0") as lan:
        stranger.send(V6PLUS_NEIGHBOUR.ce_address, V6PLUS.ce_address, udp(outside_b, outside_a, b"truly from b"))
        assert lan.saw(b"truly from b", 0.5) is mesh
        for token, source in forged.items():
            stranger.send(V6PLUS_NEIGHBOUR.ce_address, V6PLUS.ce_address, udp(source, outside_a, token))
        assert [token for token in forged if lan.saw(token, 0.3)] == []
    assert sum(daemons[0].counters().values()) - before >= len(forged)
