# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may write to a UDP port that somebody on the LAN has sent from: by default whoever was written to, with
endpoint-independent filtering everybody.

    lan ---- ce ==== isp (judge) ---- inet        SERVER, SECOND_SERVER (STUN), FAR_SERVER
"""

import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from lab import clients
from lab.daemon import Routerd
from lab.hosts import Service, call_tcp
from lab.isps import BIGLOBE, OCN
from lab.line import FAR_SERVER, HOST, SECOND_SERVER, SERVER, Line
from lab.snapshot import generation
from lab.stun import Behavior, StunServer, examine
from lab.waiting import wait_for

Running = tuple[Line, Routerd]
EVERYBODY = {"nat": {"filtering": "endpoint-independent"}}
SHORT = 3
"""Seconds for which a silent port stays open in the tests about that."""


@pytest.fixture(
    scope="module",
    params=[pytest.param((BIGLOBE, False), id="biglobe-plain@"), pytest.param((OCN, True), id="ocn-offloads@")],
)
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    subscriber, offloads = request.param
    with (
        Line(subscriber, offloads=offloads) as line,
        Routerd(line.ce, EVERYBODY) as routerd,
        StunServer(line.inet, (SERVER, SECOND_SERVER)),
    ):
        routerd.start_up()
        yield line, routerd


@pytest.fixture
def line(running: Running) -> Iterator[Line]:
    """With an empty table of connections, and the map as the test before has left it."""
    line, _ = running
    line.ce.run("conntrack", "-F")
    line.judge.reset()
    yield line
    line.assert_clean()


def stranger(line: Line, address: str = FAR_SERVER) -> socket.socket:
    """A socket in the internet that nobody on the LAN has ever written to."""
    each = line.inet.socket(socket.AF_INET, socket.SOCK_DGRAM)
    each.bind((address, 0))
    each.settimeout(1)
    return each


def cone(line: Line) -> dict[int, tuple[str, int]]:
    """The map in the kernel: private port to socket."""
    out = line.ce.run("nft", "list", "map", "inet", "routerd", "cone").stdout
    entries = re.findall(r"(\d+) expires \S+ : ([\d.]+) \. (\d+)", out)
    return {int(port): (address, int(inner)) for port, address, inner in entries}


def test_a_stun_client_finds_endpoint_independence(line: Line) -> None:
    verdict = examine(line.lan, (SERVER, SECOND_SERVER))
    assert verdict.mapping is verdict.filtering is Behavior.ENDPOINT_INDEPENDENT
    assert verdict.mapped[0] == line.subscriber.ipv4 and verdict.mapped[1] in line.subscriber.ports


def test_the_router_itself_too(line: Line) -> None:
    assert examine(line.ce, (SERVER, SECOND_SERVER)).filtering is Behavior.ENDPOINT_INDEPENDENT


def test_a_stranger_is_answered_from_the_same_port(line: Line) -> None:
    with clients.udp_socket(line.lan) as client, stranger(line) as other:
        mapped = clients.mirror(client, SERVER)
        other.sendto(b"hello", mapped)
        data, sender = client.recvfrom(100)
        assert (data, sender) == (b"hello", other.getsockname())
        client.sendto(b"who are you?", sender)
        assert other.recvfrom(100) == (b"who are you?", mapped)


def test_without_it_strangers_stay_out(running: Running, line: Line) -> None:
    _, routerd = running
    routerd.reload({"nat": {"filtering": "address-and-port-dependent"}})
    try:
        verdict = examine(line.lan, (SERVER, SECOND_SERVER))
        assert verdict.mapping is Behavior.ENDPOINT_INDEPENDENT
        assert verdict.filtering is Behavior.ADDRESS_AND_PORT_DEPENDENT
    finally:
        routerd.reload(EVERYBODY)


def test_other_ports_and_tcp_stay_closed(running: Running, line: Line) -> None:
    _, routerd = running
    with clients.udp_socket(line.lan) as client, Service(line.lan, HOST, 8080, "host"), stranger(line) as other:
        mapped = clients.mirror(client, SERVER)
        used = {line.subscriber.private_ports.index(port) for port in cone(line)}
        unused = [port for slot, port in enumerate(sorted(line.subscriber.ports)) if slot not in used][:20]
        before = routerd.counters()["unsolicited"]
        for port in unused:
            other.sendto(b"hello", (mapped[0], port))
        with pytest.raises(TimeoutError):
            call_tcp(line.inet, mapped, timeout=0.5)
        wait_for("the counter", lambda: routerd.counters()["unsolicited"] >= before + 21)
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(100)


def test_the_map_survives_reconciling(running: Running, line: Line) -> None:
    """A look at the kernel finds nothing to do, a repair and a new forward leave the map, a restart adopts it."""
    _, routerd = running
    with clients.udp_socket(line.lan) as client, stranger(line) as other:
        mapped = clients.mirror(client, SERVER)

        def is_open() -> bool:
            other.sendto(b"still open?", mapped)
            return client.recv(100) == b"still open?"

        number = generation(line.ce)
        assert is_open()
        routerd.reload()
        assert generation(line.ce) == number, "what the rules added was taken for a difference"
        line.ce.nft("flush chain inet routerd leaving")
        wait_for("the repair", lambda: "not from" in line.ce.run("nft", "list", "chain", "inet", "routerd", "leaving").stdout)
        assert is_open()
        port = next(port for port in sorted(line.subscriber.ports) if port != mapped[1])
        routerd.reload({"forward": [{"protocol": "tcp", "external": port, "internal": HOST}]})
        assert is_open()
        routerd.reload({"forward": []})
        number = generation(line.ce)
        routerd.stop()
        routerd.start_up()
        assert generation(line.ce) == number
        assert is_open()


def test_silence_closes_the_port(running: Running, line: Line) -> None:
    _, routerd = running
    routerd.reload({"nat": {"timeouts": {"udp": SHORT}}})
    try:
        with clients.udp_socket(line.lan) as client, stranger(line) as other, stranger(line) as third:
            mapped = clients.mirror(client, SERVER)
            # Sending keeps it open for much longer than that, also if it only answers a stranger.
            other.sendto(b"hello", mapped)
            peer = client.recvfrom(100)[1]
            for _ in range(3 * SHORT):
                client.sendto(b"still here", peer)
                time.sleep(0.5)
            third.sendto(b"me too", mapped)
            assert client.recv(100) == b"me too"
            # Hearing does not: a stranger must not be able to keep a port open.
            client.settimeout(0.3)
            time.sleep(SHORT + 1)
            other.sendto(b"too late", mapped)
            with pytest.raises(TimeoutError):
                client.recv(100)
    finally:
        routerd.reload({"nat": {"timeouts": {"udp": 300}}})


def test_a_port_with_two_sockets_belongs_to_the_first(running: Running, line: Line) -> None:
    """The kernel may give a port to two sockets that write to different servers. Strangers reach the first, for as long
    as it sends; then the second, if it does."""
    _, routerd = running
    if line.subscriber.port_count > 240:
        pytest.skip("among 1008 ports it takes too many sockets until two have the same")
    routerd.reload({"nat": {"timeouts": {"udp": SHORT}}})
    try:
        time.sleep(SHORT + 1)  # until the ports of the tests before are nobody's
        with ExitStack() as stack, stranger(line) as other, stranger(line) as late:
            seen: dict[int, tuple[socket.socket, str]] = {}
            for number in range(400):
                client = stack.enter_context(clients.udp_socket(line.lan))
                server = SERVER if number % 2 else SECOND_SERVER
                mapped = clients.mirror(client, server)
                if mapped[1] in seen:
                    break
                seen[mapped[1]] = client, server
            else:
                pytest.fail("400 sockets, and no two with the same port")
            first, second = seen[mapped[1]], (client, server)
            assert first[1] != second[1]

            def speak(*speakers: tuple[socket.socket, str]) -> None:
                """For longer than a silent port stays open; and the answers are taken."""
                for _ in range(4 * SHORT):
                    for each, server in speakers:
                        clients.mirror(each, server)
                    time.sleep(0.5)

            speak(first, second)
            other.sendto(b"hello", mapped)
            assert first[0].recvfrom(100) == (b"hello", other.getsockname())
            speak(second)
            late.sendto(b"hello", mapped)
            assert second[0].recvfrom(100) == (b"hello", late.getsockname())
    finally:
        routerd.reload({"nat": {"timeouts": {"udp": 300}}})
