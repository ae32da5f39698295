# SPDX-License-Identifier: GPL-3.0-or-later
"""How long silent connections are remembered: those over the softwire as configured, all others as the host has it.

    lan ---- ce ==== isp ---- inet        SERVER
"""

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab import clients
from lab.daemon import Routerd
from lab.hosts import Service, call_udp
from lab.isps import BIGLOBE
from lab.line import HOST, ROUTER, SECOND_SERVER, SERVER, Line
from lab.netns import Namespace
from lab.servers import ECHO, HOLD
from lab.waiting import wait_for

Running = tuple[Line, Routerd]

RFC = {"tcp": 7440, "syn": 240, "udp": 300, "dns": 30, "icmp": 60, "closed": 2}
"""RFC 5382, RFC 4787, RFC 5508: the least that a NAT may do; DNS is the kernel's, and closed connections are ours."""
SHORT = {"tcp_established": 1000, "tcp_transitory": 100, "tcp_time_wait": 30, "udp": 90, "dns": 20, "icmp": 40}


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Line(BIGLOBE) as line, Routerd(line.ce) as routerd, Service(line.lan, HOST, 8080, "host"):
        forward = {"protocol": "udp", "external": min(BIGLOBE.ports), "internal": f"{HOST}:8080"}
        routerd.configure({"forward": [forward]})
        routerd.start_up()
        yield line, routerd


def remaining(ce: Namespace, *words: str) -> int:
    """The seconds that a connection has left, among all that are listed with these words: the largest."""
    found = listed(ce, *words)
    assert found, f"no connection with {words} among\n{ce.run('conntrack', '-L').stdout}"
    return max(found)


def listed(ce: Namespace, *words: str) -> list[int]:
    """The seconds that each connection has left that is listed with these words."""
    entries = [entry.split() for entry in ce.run("conntrack", "-L").stdout.splitlines()]
    return [int(entry[2]) for entry in entries if all(word in entry for word in words)]


def measure(line: Line) -> dict[str, int]:
    """A connection of each kind, and what it has left right after."""
    line.ce.run("conntrack", "-F")
    with ExitStack() as stack:
        opened = stack.enter_context(clients.hold(line.lan, [(SERVER, HOLD)]))
        opened.assert_alive()
        half_open = stack.enter_context(line.lan.socket(socket.AF_INET, socket.SOCK_STREAM))
        half_open.setblocking(False)
        half_open.connect_ex(("198.51.100.77", 80))  # nobody is there, and nobody says so
        clients.udp_echo(line.lan, SERVER, sizes=(1,))
        query = stack.enter_context(clients.udp_socket(line.lan))
        query.sendto(b"query", ("198.51.100.77", 53))
        clients.ping(line.lan, SERVER, count=1)
        call_udp(line.inet, (line.subscriber.ipv4, min(line.subscriber.ports)))
        return {
            "closed": closed(line),
            "tcp": remaining(line.ce, "tcp", "ESTABLISHED", f"dport={HOLD}"),
            "syn": remaining(line.ce, "tcp", "SYN_SENT"),
            "udp": remaining(line.ce, "udp", f"dport={ECHO}"),
            "dns": remaining(line.ce, "udp", "dport=53"),
            "icmp": remaining(line.ce, "icmp"),
            "forwarded": remaining(line.ce, "udp", f"dport={min(line.subscriber.ports)}"),
        }


def closed(line: Line) -> int:
    """What a connection has left that both sides have just closed."""
    with clients.hold(line.lan, [(SECOND_SERVER, HOLD)], abort=False) as opened:
        opened.assert_alive()
    return max(wait_for("both to have closed", lambda: listed(line.ce, "TIME_WAIT", f"dst={SECOND_SERVER}"), timeout=2))


def assert_near(measured: dict[str, int], wanted: dict[str, int]) -> None:
    """A few seconds may have passed."""
    assert {name: wanted[name] - 8 <= value <= wanted[name] for name, value in measured.items()} == dict.fromkeys(
        wanted, True
    ), f"{measured} instead of {wanted}"


def test_the_least_that_a_nat_may_do(running: Running) -> None:
    line, _ = running
    line.isp.ip("route replace blackhole 198.51.100.77/32")
    assert_near(measure(line), {**RFC, "forwarded": RFC["udp"]})


def test_what_the_operator_chooses(running: Running) -> None:
    line, routerd = running
    line.isp.ip("route replace blackhole 198.51.100.77/32")
    routerd.reload({"nat": {"timeouts": SHORT}})
    wanted = {"tcp": 1000, "syn": 100, "udp": 90, "dns": 20, "icmp": 40, "closed": 30, "forwarded": 90}
    assert_near(measure(line), wanted)


def test_other_connections_go_by_the_hosts_settings(running: Running) -> None:
    """Nothing below /proc/sys is written, and connections past the softwire do not change."""
    line, _ = running
    with line.ce.entered():
        settings = Path("/proc/sys/net/netfilter")
        wanted = int((settings / "nf_conntrack_tcp_timeout_established").read_text())
        datagrams = int((settings / "nf_conntrack_udp_timeout").read_text())
    assert (wanted, datagrams) == (432000, 30)
    with Service(line.ce, ROUTER, 8080, "router"), clients.hold(line.lan, [(ROUTER, 8080)]) as opened:
        [client] = opened.sockets
        assert re.match(b"router ", client.recv(100))
        assert call_udp(line.lan, (ROUTER, 8080))[0] == "router"
        assert wanted - 8 <= remaining(line.ce, "tcp", "ESTABLISHED", "dport=8080") <= wanted
        assert datagrams - 8 <= remaining(line.ce, "udp", "dport=8080") <= datagrams
