# SPDX-License-Identifier: GPL-3.0-or-later
"""`routerd ports` tells which ports of the line are in use, as the world sees them, and by whom.

    lan ---- ce ==== isp ---- inet        SERVER, SECOND_SERVER
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lab import clients
from lab.daemon import Routerd
from lab.hosts import Service, call_tcp, call_udp
from lab.isps import BIGLOBE, DSLITE, OCN
from lab.line import HOST, SECOND_HOST, SECOND_SERVER, SERVER, Line
from lab.servers import HOLD, MIRROR

Running = tuple[Line, Routerd]


@pytest.fixture(
    scope="module", params=[pytest.param(BIGLOBE, id="biglobe@"), pytest.param(OCN, id="ocn@")],
)
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    forward = {"protocol": "tcp+udp", "external": sorted(request.param.ports)[20], "internal": f"{SECOND_HOST}:8080"}
    with Line(request.param) as line, Routerd(line.ce, {"forward": [forward]}) as routerd:
        routerd.start_up()
        yield line, routerd


@pytest.fixture
def line(running: Running) -> Iterator[Line]:
    line, _ = running
    line.ce.run("conntrack", "-F")
    line.servers.forget()
    yield line


def ports(routerd: Routerd) -> dict[str, Any]:
    return json.loads(routerd.cli("ports", "--json").stdout)


def expanded(ranges: list[list[int]]) -> set[int]:
    return {port for first, last in ranges for port in range(first, last + 1)}


def test_the_set_and_nothing_in_use(running: Running, line: Line) -> None:
    report = ports(running[1])
    assert report["address"] == line.subscriber.ipv4
    assert expanded(report["portRanges"]) == line.subscriber.ports
    assert report["portCount"] == line.subscriber.port_count
    assert report["choosable"] == line.subscriber.port_count - 1
    assert report["protocols"]["tcp"] == {"ports": 0, "connections": 0, "ranges": []}


def test_ports_are_those_that_the_servers_see(running: Running, line: Line) -> None:
    targets = [(SERVER, HOLD)] * 70 + [(SECOND_SERVER, HOLD)] * 30
    with clients.hold(line.lan, targets) as lan, clients.hold(line.ce, [(SERVER, HOLD)] * 5) as router:
        lan.assert_alive()
        router.assert_alive()
        report = ports(running[1])
        used = report["protocols"]["tcp"]
        assert used["connections"] == 105
        assert expanded(used["ranges"]) == {port for _, port in line.servers.callers}
        assert used["ports"] == len(expanded(used["ranges"]))
        towards = [(each["protocol"], each["address"], each["port"], each["ports"]) for each in report["destinations"]]
        assert towards == [("tcp", SERVER, HOLD, 75), ("tcp", SECOND_SERVER, HOLD, 30)]
        hosts = {each["address"]: each["connections"] for each in report["hosts"]}
        assert hosts == {HOST: 100, line.subscriber.ipv4: 5}


def test_udp_and_ping(running: Running, line: Line) -> None:
    with clients.udp_socket(line.lan) as client:
        port = clients.mirror(client, SERVER)[1]
        clients.ping(line.lan, SERVER, count=1)
        report = ports(running[1])
        assert report["protocols"]["udp"] == {"ports": 1, "connections": 1, "ranges": [[port, port]]}
        assert report["protocols"]["icmp"]["ports"] == 1
        assert expanded(report["protocols"]["icmp"]["ranges"]) <= line.subscriber.ports
        text = running[1].cli("ports").stdout
        for part in (f"udp {SERVER}:{MIRROR}", f"ping {SERVER}", HOST, f"udp {sorted(line.subscriber.ports)[20]}"):
            assert part in text


def test_forwarded_ports(running: Running, line: Line) -> None:
    port = sorted(line.subscriber.ports)[20]
    with Service(line.lan, SECOND_HOST, 8080, "second"):
        for call in (call_tcp, call_udp):
            assert call(line.inet, (line.subscriber.ipv4, port))[0] == "second"
            # What stays on this side takes no port of the line.
            assert call(line.lan, (line.subscriber.ipv4, port))[0] == "second"
        report = ports(running[1])
    assert report["forwards"] == [
        {"protocol": protocol, "external": port, "internal": f"{SECOND_HOST}:8080", "connections": 1}
        for protocol in ("tcp", "udp")
    ]
    for protocol in ("tcp", "udp"):
        assert expanded(report["protocols"][protocol]["ranges"]) == {port}
    assert [each["address"] for each in report["hosts"]] == [SECOND_HOST]


def test_who_cannot_tell_says_so() -> None:
    changes = {"profile": "dslite", "dslite": {"aftr": "transix"}}
    with Line(DSLITE) as line, Routerd(line.ce, changes) as routerd:
        done = routerd.cli("ports", check=False)
        assert (done.returncode, "no daemon runs" in done.stderr) == (1, True)
        routerd.start_up()
        done = routerd.cli("ports", "--json", check=False)
        assert (done.returncode, "AFTR" in done.stderr, done.stdout) == (1, True, "")
