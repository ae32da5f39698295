# SPDX-License-Identifier: GPL-3.0-or-later
"""Forwarded ports: from the world, from the LAN itself, to LAN hosts and to the router; and what they do to the rest.

    lan ---- ce ==== isp (judge) ---- inet        SERVER
    HOST, SECOND_HOST        ROUTER

The services tell their callers where the call came from. The world is let in as it is; a caller from the LAN who uses
the router's outside address is seen as the router, for otherwise the answer would take a short cut past it.
"""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from lab import clients
from lab.daemon import Routerd
from lab.hosts import Service, call_tcp, call_udp
from lab.isps import BIGLOBE, DSLITE, OCN
from lab.line import HOST, ROUTER, SECOND_HOST, SERVER, Line
from lab.outside import Sniffer, Stranger, fragments
from lab.servers import HOLD
from lab.waiting import wait_for

Running = tuple[Line, Routerd]


def port(line: Line, slot: int) -> int:
    return sorted(line.subscriber.ports)[slot]


def forward(protocol: str, external: int, target: str) -> dict[str, object]:
    return {"protocol": protocol, "external": external, "internal": target}


def usual(line: Line) -> dict[str, object]:
    """Forwards of ports at both ends of the set and in the middle."""
    return {
        "forward": [
            forward("tcp+udp", port(line, 7), f"{HOST}:8080"),
            forward("tcp", port(line, 0), f"{SECOND_HOST}:8080"),
            forward("udp", port(line, 0), f"{HOST}:8080"),
            forward("tcp+udp", port(line, -1), f"{ROUTER}:8080"),
            forward("tcp", 443, f"{HOST}:443"),
        ]
    }


@pytest.fixture(
    scope="module",
    params=[pytest.param((BIGLOBE, False), id="biglobe-plain@"), pytest.param((OCN, True), id="ocn-offloads@")],
)
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    subscriber, offloads = request.param
    with Line(subscriber, offloads=offloads) as line, Routerd(line.ce) as routerd, ExitStack() as stack:
        for namespace, address, name in (
            (line.lan, HOST, "host"), (line.lan, SECOND_HOST, "second"), (line.ce, ROUTER, "router"),
        ):
            stack.enter_context(Service(namespace, address, 8080, name))
        routerd.configure(usual(line))
        routerd.start_up()
        yield line, routerd


@pytest.fixture
def line(running: Running) -> Iterator[Line]:
    """As everywhere; and with the usual forwards, whatever the test before has made of them."""
    line, routerd = running
    if routerd.config["forward"] != usual(line)["forward"]:
        routerd.reload(usual(line))
    line.ce.run("conntrack", "-F")
    line.judge.reset()
    line.servers.forget()
    yield line
    line.assert_clean()


def test_the_world_reaches_each_service(line: Line) -> None:
    address = line.subscriber.ipv4
    for call, slot, name in (
        (call_tcp, 7, "host"), (call_udp, 7, "host"), (call_tcp, 0, "second"), (call_udp, 0, "host"),
        (call_tcp, -1, "router"), (call_udp, -1, "router"),
    ):
        seen = call(line.inet, (address, port(line, slot)), local=SERVER)
        assert seen[:2] == (name, SERVER), f"{call.__name__} of port {port(line, slot)}"


@pytest.mark.parametrize("call", [call_tcp, call_udp])
def test_the_lan_reaches_them_by_the_same_name(line: Line, call) -> None:  # type: ignore[no-untyped-def]
    address = line.subscriber.ipv4
    assert call(line.lan, (address, port(line, 7)), local=SECOND_HOST)[:2] == ("host", ROUTER)
    assert call(line.lan, (address, port(line, 7)), local=HOST)[:2] == ("host", ROUTER)
    assert call(line.lan, (address, port(line, -1)))[0] == "router"


def test_the_router_reaches_them_by_the_same_name(line: Line) -> None:
    address = line.subscriber.ipv4
    for call in (call_tcp, call_udp):
        assert call(line.ce, (address, port(line, 7)))[:2] == ("host", ROUTER)
        assert call(line.ce, (address, port(line, -1)))[0] == "router"


def test_a_port_of_others_is_refused_and_nothing_else(running: Running, line: Line) -> None:
    _, routerd = running
    status = routerd.status()
    assert status["state"] == "up"
    [warning] = [each for each in status["warnings"] if "443" in each]
    first = f"{port(line, 0)}-{port(line, 15)}"
    for part in ("port 443 cannot be forwarded", str(line.subscriber.port_count), first, line.subscriber.ipv4):
        assert part in warning
    assert warning in routerd.log
    assert "the configuration is good" in routerd.cli("check-config").stdout


def test_what_is_not_forwarded_stays_closed(running: Running, line: Line) -> None:
    """The other protocol of a forwarded port too."""
    _, routerd = running
    routerd.reload({"forward": [forward("tcp", port(line, 7), f"{HOST}:8080")]})
    before = routerd.counters()["unsolicited"]
    target = (line.subscriber.ipv4, port(line, 7))
    assert call_tcp(line.inet, target)[0] == "host"
    with pytest.raises(TimeoutError):
        call_udp(line.inet, target, timeout=0.5)
    assert routerd.counters()["unsolicited"] == before + 1


def test_datagrams_in_fragments(line: Line) -> None:
    """The port stands in the first fragment only; all of them arrive."""
    target = (line.subscriber.ipv4, port(line, 7))
    assert call_udp(line.inet, target, local=SERVER, size=4000)[:2] == ("host", SERVER)
    assert call_udp(line.lan, target, size=4000)[:2] == ("host", ROUTER)


def test_fragments_for_ports_of_others(running: Running, line: Line) -> None:
    """Out of order, so that the first to come shows no port; counted as the one packet that they are."""
    _, routerd = running
    with Stranger(line.isp) as stranger, Sniffer(line.lan, "lan0") as lan:
        def send(target: int, token: bytes) -> None:
            sender = (SERVER, 5000)
            for fragment in reversed(fragments(sender, (line.subscriber.ipv4, target), token * 200)):
                stranger.send(line.subscriber.relay, line.subscriber.ce_address, fragment)

        before = routerd.counters()["outside_port_set_in"]
        send(line.subscriber.private_ports[3], b"wrong port")
        send(port(line, 7), b"right port")
        assert lan.saw(b"right port", 2)
        assert not lan.saw(b"wrong port")
        assert routerd.counters()["outside_port_set_in"] == before + 1


def test_forwarded_ports_are_nobody_elses(running: Running, line: Line) -> None:
    """All other ports at once, and not one more."""
    if line.subscriber.port_count > 240:
        pytest.skip("covered by the set of 240; with 1008 it would only be slower")
    for side in (line.lan, line.ce):
        clients.repeat_syns(side)
    taken = {port(line, slot) for slot in (7, 0, -1)}
    count = line.subscriber.port_count - len(taken)
    with clients.hold(line.lan, [(SERVER, HOLD)] * count, timeout=45) as opened:
        assert opened.failed == []
        opened.assert_alive()
        assert {each for _, each in line.servers.callers} == line.subscriber.ports - taken
        with clients.hold(line.lan, [(SERVER, HOLD)], timeout=2.5) as surplus:
            assert surplus.failed == [0]
        # Full or not: forwarded ports stay open.
        assert call_tcp(line.inet, (line.subscriber.ipv4, port(line, 7)))[0] == "host"


def flows(line: Line) -> set[str]:
    """The TCP connections to the holding service, by the port that the LAN host uses."""
    out = line.ce.run("conntrack", "-L", "-p", "tcp", "--dport", str(HOLD)).stdout
    return {word for entry in out.splitlines() for word in entry.split() if word.startswith("sport=")}


def test_a_new_forward_moves_no_other_connection(running: Running, line: Line) -> None:
    _, routerd = running
    routerd.reload({"forward": []})
    count = 200
    with clients.hold(line.lan, [(SERVER, HOLD)] * count, timeout=45) as opened:
        assert opened.failed == []
        by_port = {each: client.getsockname()[1] for client, (_, each) in _pairs(line, opened)}
        chosen = min(by_port)
        # The swapped ports are the chosen one, and the last one, which takes its place.
        leaving = {by_port[each] for each in (chosen, max(line.subscriber.ports)) if each in by_port}
        before = flows(line)
        routerd.reload({"forward": [forward("tcp", chosen, f"{HOST}:8080")]})
        gone = {f"sport={each}" for each in leaving}
        assert flows(line) == before - gone
        staying = [each for each in opened.sockets if each.getsockname()[1] not in leaving]
        assert len(staying) == count - len(leaving)
        for each in staying:
            each.sendall(b"still here")
        assert all(each.recv(20) == b"still here" for each in staying)
        assert call_tcp(line.inet, (line.subscriber.ipv4, chosen))[0] == "host"


def _pairs(line: Line, opened: clients.Opened) -> Iterator[tuple[socket.socket, tuple[str, int]]]:
    """Each connection with its caller as the server saw it, found out by conntrack's word for both ends."""
    out = line.ce.run("conntrack", "-L", "-p", "tcp", "--dport", str(HOLD)).stdout
    private = {}
    for entry in out.splitlines():
        words = dict(word.split("=", 1) for word in reversed(entry.split()) if "=" in word)
        answer = dict(word.split("=", 1) for word in entry.split() if "=" in word)
        private[int(words["sport"])] = int(answer["dport"])
    first = line.subscriber.private_ports[0]
    ports = sorted(line.subscriber.ports)
    for client in opened.sockets:
        yield client, (line.subscriber.ipv4, ports[private[client.getsockname()[1]] - first])


def test_a_forward_that_leads_elsewhere_takes_its_flows_along(running: Running, line: Line) -> None:
    """Somebody who never stops sending must not be stuck to the old host."""
    _, routerd = running
    target = (line.subscriber.ipv4, port(line, 7))
    with clients.udp_socket(line.inet) as caller:
        def ask() -> str:
            caller.sendto(b"who?", target)
            return caller.recv(100).decode().split()[0]

        assert ask() == "host"
        routerd.reload({"forward": [forward("udp", target[1], f"{SECOND_HOST}:8080")]})
        assert ask() == "second"
        routerd.reload({"forward": []})
        caller.settimeout(0.5)
        with pytest.raises(TimeoutError):
            ask()


def test_forwards_survive_damage_and_restart(running: Running, line: Line) -> None:
    _, routerd = running
    target = (line.subscriber.ipv4, port(line, 7))
    line.ce.nft("flush ruleset")
    wait_for("the table", lambda: "forwarded_tcp" in line.ce.run("nft", "list", "ruleset").stdout)
    assert call_tcp(line.inet, target)[0] == "host"
    routerd.kill()
    routerd.start_up()
    assert call_tcp(line.inet, target)[0] == "host"


def test_with_ds_lite_forwards_are_refused() -> None:
    changes = {
        "profile": "dslite", "dslite": {"aftr": "transix"}, "forward": [forward("tcp", 5140, f"{HOST}:8080")],
    }
    with Line(DSLITE) as line, Routerd(line.ce, changes) as routerd:
        routerd.start_up()
        assert any("5140" in each and "AFTR" in each for each in routerd.status()["warnings"])
        clients.ping(line.lan, SERVER)
