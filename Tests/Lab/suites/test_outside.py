# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes from outside uninvited does not arrive, and is counted; what others do on the router changes nothing.

    lan ---- ce ==== isp (judge, stranger) ---- inet        SERVER

The stranger sits in the ISP's network and sends tunnel packets with any outer and inner address. Every test of a
refusal stands beside the control: the same packet, right in the one point, arrives.
"""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6ParamProblem

from lab import clients
from lab.daemon import Routerd
from lab.isps import BIGLOBE, BIGLOBE_NEIGHBOUR
from lab.line import HOST, SECOND_HOST, SERVER, Line
from lab.netns import Namespace
from lab.outside import Sniffer, Stranger, echo, port_unreachable, syn, tunnelled, udp
from lab.servers import HOLD, MIRROR
from lab.waiting import patient

CE = BIGLOBE.ce_address
RELAY = BIGLOBE.relay
TOKEN = b"uninvited guest"
PATIENCE = 0.4
"""How long a packet may take to arrive; the controls arrive in a few milliseconds."""

Running = tuple[Line, Routerd]


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Line(BIGLOBE, offloads=False) as line, Routerd(line.ce) as routerd:
        routerd.start_up()
        yield line, routerd


@pytest.fixture
def stranger(running: Running) -> Iterator[Stranger]:
    with Stranger(running[0].isp) as stranger:
        yield stranger


@pytest.fixture
def flow(running: Running) -> Iterator[tuple[str, int]]:
    """The outside end of a live UDP flow between a LAN host and (SERVER, MIRROR)."""
    with clients.udp_socket(running[0].lan) as client:
        yield clients.mirror(client, SERVER)


class Refusal:
    """Watches the LAN and the counters while something is sent that must be refused."""

    def __init__(self, running: Running) -> None:
        self._line, self._routerd = running
        self._lan = Sniffer(self._line.lan, "lan0")
        self._wan = Sniffer(self._line.isp, "down0")
        self._before = self._routerd.counters()

    def assert_silent(self, reason: str, count: int) -> None:
        """Fails unless nothing arrived, nothing was answered, and the counter for the reason grew by `count`."""
        assert not self._lan.saw(TOKEN, PATIENCE), "the packet reached the LAN"
        answers = tunnelled(self._wan.packets(), CE)
        assert answers == [], f"the CE answered: {answers}"
        kinds = (ICMPv6DestUnreach, ICMPv6ParamProblem)
        complaints = [packet for packet in self._wan.packets() if any(kind in packet for kind in kinds)]
        assert complaints == [], f"the CE complained to the sender: {complaints}"
        after = self._routerd.counters()
        grown = sum(after.get(name, 0) - self._before.get(name, 0) for name in (reason, f"tun_{reason}"))
        assert grown >= count, f"{reason} grew by {grown}, not {count}: before {self._before}, after {after}"

    def close(self) -> None:
        self._lan.close()
        self._wan.close()


@pytest.fixture
def refusal(running: Running, flow: tuple[str, int]) -> Iterator[Refusal]:
    with closing(Refusal(running)) as refusal:
        yield refusal


def outside_port(private: int = 0) -> int:
    """A port that is not in the set; by default the first of the private range."""
    port = BIGLOBE.private_ports[private]
    assert port not in BIGLOBE.ports
    return port


def test_control_an_answer_arrives(running: Running, stranger: Stranger, flow: tuple[str, int]) -> None:
    with Sniffer(running[0].lan, "lan0") as lan:
        stranger.send(RELAY, CE, udp((SERVER, MIRROR), flow, TOKEN))
        assert lan.saw(TOKEN, PATIENCE)


def test_control_the_other_relay_of_the_isp_is_allowed(
    running: Running, stranger: Stranger, flow: tuple[str, int]
) -> None:
    with Sniffer(running[0].lan, "lan0") as lan:
        stranger.send(BIGLOBE.domain.relays[1], CE, udp((SERVER, MIRROR), flow, TOKEN))
        assert lan.saw(TOKEN, PATIENCE)


@pytest.mark.parametrize(
    "source",
    ["2001:db8::bad", BIGLOBE_NEIGHBOUR.ce_address, "2404:9200:225:100::64", CE],
    ids=["anyone", "another-ce", "another-isps-relay", "ourselves"],
)
def test_spoofed_outer_source(
    stranger: Stranger, flow: tuple[str, int], refusal: Refusal, source: str
) -> None:
    for _ in range(5):
        stranger.send(source, CE, udp((SERVER, MIRROR), flow, TOKEN))
    refusal.assert_silent("wrong_outer_source", 5)


@pytest.mark.parametrize(
    "target",
    [HOST, "198.51.100.77", BIGLOBE_NEIGHBOUR.ipv4, "127.0.0.1"],
    ids=["lan", "world", "neighbour", "loopback"],
)
def test_wrong_inner_destination(stranger: Stranger, flow: tuple[str, int], refusal: Refusal, target: str) -> None:
    for _ in range(5):
        stranger.send(RELAY, CE, udp((SERVER, MIRROR), (target, flow[1]), TOKEN))
    refusal.assert_silent("wrong_inner_destination", 5)


@pytest.mark.parametrize("port", [1, 80, 4095, 5135, 5152, 5391, 5392, 61000])
def test_udp_port_outside_the_set(stranger: Stranger, refusal: Refusal, port: int) -> None:
    assert port not in BIGLOBE.ports
    for _ in range(3):
        stranger.send(RELAY, CE, udp((SERVER, MIRROR), (BIGLOBE.ipv4, port), TOKEN))
    refusal.assert_silent("outside_port_set_in", 3)


def test_echo_identifier_outside_the_set(stranger: Stranger, refusal: Refusal) -> None:
    stranger.send(RELAY, CE, echo(SERVER, BIGLOBE.ipv4, outside_port(), TOKEN))
    stranger.send(RELAY, CE, echo(SERVER, BIGLOBE.ipv4, outside_port(), TOKEN, reply=True))
    refusal.assert_silent("outside_port_set_in", 2)


def test_a_port_that_nobody_uses(running: Running, stranger: Stranger, refusal: Refusal) -> None:
    running[0].ce.run("conntrack", "-F")
    for port in sorted(BIGLOBE.ports)[:5]:
        stranger.send(RELAY, CE, udp((SERVER, MIRROR), (BIGLOBE.ipv4, port), TOKEN))
    refusal.assert_silent("unsolicited", 5)


def test_a_live_port_written_to_by_somebody_else(
    stranger: Stranger, flow: tuple[str, int], refusal: Refusal
) -> None:
    stranger.send(RELAY, CE, udp(("198.51.100.77", 4444), flow, TOKEN))
    stranger.send(RELAY, CE, udp((SERVER, 4444), flow, TOKEN))
    refusal.assert_silent("unsolicited", 2)


def test_quoted_header_with_options(stranger: Stranger, flow: tuple[str, int], refusal: Refusal) -> None:
    """An ICMP error whose quoted packet has IPv4 options cannot be translated: it must not pass half translated."""
    about = udp(flow, (SERVER, MIRROR), TOKEN)
    stranger.send(RELAY, CE, port_unreachable(SERVER, BIGLOBE.ipv4, about, options=True))
    refusal.assert_silent("inner_header_options", 1)


@pytest.fixture
def services(running: Running) -> Iterator[list[socket.socket]]:
    """Listeners on the router on every port of the private range and of the set, TCP and UDP."""
    with ExitStack() as stack:
        listeners = []
        for port in sorted({*BIGLOBE.private_ports, *BIGLOBE.ports}):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                each = stack.enter_context(running[0].ce.socket(socket.AF_INET, kind))
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                each.bind(("0.0.0.0", port))
                each.setblocking(False)
                if kind == socket.SOCK_STREAM:
                    each.listen(16)
                listeners.append(each)
        yield listeners


def visited(listeners: list[socket.socket]) -> list[int]:
    """The ports on which something arrived."""
    ports = []
    for each in listeners:
        try:
            if each.type == socket.SOCK_STREAM:
                each.accept()[0].close()
            else:
                each.recv(100)
        except BlockingIOError:
            continue
        ports.append(each.getsockname()[1])
    return ports


def test_services_of_the_router_are_unreachable(
    running: Running, stranger: Stranger, services: list[socket.socket]
) -> None:
    """By a port of the set, which the remap turns into one of the private range, and by the private range itself."""
    line, _ = running
    for ports, reason in ((sorted(BIGLOBE.ports), "unsolicited"), (BIGLOBE.private_ports, "outside_port_set_in")):
        with closing(Refusal(running)) as refusal:
            for port in ports:
                stranger.send(RELAY, CE, syn((SERVER, 50000), (BIGLOBE.ipv4, port)))
                stranger.send(RELAY, CE, udp((SERVER, 50000), (BIGLOBE.ipv4, port), TOKEN))
            refusal.assert_silent(reason, 2 * BIGLOBE.port_count)
    assert visited(services) == []

    with line.lan.socket(socket.AF_INET, socket.SOCK_STREAM) as client:  # the control: they do listen
        client.settimeout(patient(2))
        client.connect(("192.168.1.1", BIGLOBE.private_ports[0]))
    assert visited(services) == [BIGLOBE.private_ports[0]]


def test_connecting_from_the_internet(running: Running, services: list[socket.socket]) -> None:
    """The same by way of the border relay, as a stranger in the internet would try."""
    line, _ = running
    targets = [(BIGLOBE.ipv4, port) for port in sorted(BIGLOBE.ports)[:32]]
    with closing(Refusal(running)) as refusal, clients.hold(line.inet, targets, timeout=0.8) as opened:
        assert opened.sockets == []
        assert len(opened.failed) == 32
        assert visited(services) == []
        refusal.assert_silent("unsolicited", 32)


FOREIGN = """
    table ip nat {
        chain POSTROUTING {
            type nat hook postrouting priority srcnat; policy accept;
            oifname != "docker0" ip saddr 192.168.1.0/24 counter masquerade
        }
    }
"""


def assert_everything_inside_the_set(source: Namespace, line: Line) -> None:
    line.servers.forget()
    line.judge.reset()
    clients.ping(source, SERVER)
    clients.udp_echo(source, SERVER)
    with clients.hold(source, [(SERVER, HOLD)] * 60) as opened:
        assert opened.failed == []
        opened.assert_alive()
    assert {address for address, _ in line.servers.callers} == {BIGLOBE.ipv4}
    assert {port for _, port in line.servers.callers} <= BIGLOBE.ports
    line.assert_clean()


@pytest.mark.parametrize("when", ["before", "after"])
def test_foreign_masquerade_changes_nothing(when: str) -> None:
    with Line(BIGLOBE, offloads=False) as line, Routerd(line.ce) as routerd:
        if when == "before":
            line.ce.nft(FOREIGN)
        routerd.start_up()
        if when == "after":
            line.ce.nft(FOREIGN)
        assert_everything_inside_the_set(line.lan, line)
        assert_everything_inside_the_set(line.ce, line)
        line.lan.ip(f"route replace default via 192.168.1.1 src {SECOND_HOST}")
        assert_everything_inside_the_set(line.lan, line)
