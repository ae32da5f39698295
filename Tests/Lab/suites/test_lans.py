# SPDX-License-Identifier: GPL-3.0-or-later
"""Several LANs, with prefixes that routerd has never heard of: whatever leaves by the softwire is translated.

    lan ------ lan0 ce ==== isp (judge) ---- inet        SERVER
    second --- lan1
      └ GUEST in a prefix behind a router of its own
"""

from collections.abc import Iterator

import pytest

from lab import clients
from lab.daemon import Routerd
from lab.hosts import Service, call_tcp, call_udp
from lab.isps import BIGLOBE
from lab.line import HOST, ROUTER, SERVER, Line
from lab.netns import Namespace, link
from lab.servers import HOLD
from lab.waiting import wait_for

SECOND_ROUTER, SECOND, GUEST = "172.16.5.1", "172.16.5.20", "10.99.0.1"

Lans = tuple[Line, Routerd, Namespace]


@pytest.fixture(scope="module")
def lans() -> Iterator[Lans]:
    with Line(BIGLOBE, offloads=False) as line, Namespace("second") as second:
        link((second, "lan0"), (line.ce, "lan1"))
        line.ce.sysctl("ipv4/conf/lan1/forwarding", 0)
        line.ce.ip(f"addr add {SECOND_ROUTER}/24 dev lan1\nroute add 10.99.0.0/16 via {SECOND}")
        second.ip(f"addr add {SECOND}/24 dev lan0\naddr add {GUEST}/32 dev lo\nroute add default via {SECOND_ROUTER}")
        ports = sorted(BIGLOBE.ports)
        forwards = [
            {"protocol": "tcp+udp", "external": port, "internal": f"{target}:8080"}
            for port, target in zip(ports, (HOST, SECOND, GUEST))
        ]
        with Routerd(line.ce, {"lan": {"interfaces": ["lan0", "lan1"]}, "forward": forwards}) as routerd:
            routerd.start_up()
            yield line, routerd, second
        line.assert_clean()


def test_all_of_them_share_the_set(lans: Lans) -> None:
    line, _, second = lans
    line.servers.forget()
    clients.ping(second, SERVER)
    with (
        clients.hold(line.lan, [(SERVER, HOLD)] * 60) as first,
        clients.hold(second, [(SERVER, HOLD)] * 60) as other,
        clients.hold(line.ce, [(SERVER, HOLD)] * 60) as router,
    ):
        for opened in (first, other, router):
            assert opened.failed == []
            opened.assert_alive()
        ports = [port for _, port in line.servers.callers]
        assert len(set(ports)) == len(ports) == 180
        assert set(ports) <= BIGLOBE.ports


def test_a_prefix_behind_another_router(lans: Lans) -> None:
    _, _, second = lans
    second.run("ping", "-n", "-c", "3", "-i", "0.2", "-W", "2", "-I", GUEST, SERVER)
    fetch = ("curl", "-sS", "--noproxy", "*", "--max-time", "20", "--interface", GUEST, "-o", "/dev/null")
    assert second.run(*fetch, "-w", "%{size_download}", f"http://{SERVER}/bytes/100000").stdout == "100000"


@pytest.mark.parametrize("target", [SECOND, GUEST])
def test_forwards_into_each_lan(lans: Lans, target: str) -> None:
    line, _, second = lans
    port = sorted(BIGLOBE.ports)[1 if target == SECOND else 2]
    with Service(second, target, 8080, "there"):
        for call in (call_tcp, call_udp):
            assert call(line.inet, (BIGLOBE.ipv4, port), local=SERVER)[:2] == ("there", SERVER)
            # From the other LAN and from the same one by the outside address.
            assert call(line.lan, (BIGLOBE.ipv4, port))[:2] == ("there", SECOND_ROUTER)
            assert call(second, (BIGLOBE.ipv4, port), local=SECOND)[:2] == ("there", SECOND_ROUTER)


def test_from_the_second_lan_to_the_first(lans: Lans) -> None:
    line, _, second = lans
    with Service(line.lan, HOST, 8080, "host"):
        for call in (call_tcp, call_udp):
            assert call(second, (BIGLOBE.ipv4, min(BIGLOBE.ports)))[:2] == ("host", ROUTER)
            # Past the softwire nothing is translated.
            assert call(second, (HOST, 8080))[:2] == ("host", SECOND)


def test_forwarding_on_each_lan_is_turned_on_and_put_back(lans: Lans) -> None:
    line, routerd, _ = lans
    setting = ("sysctl", "-n", "net.ipv4.conf.lan1.forwarding")
    assert line.ce.run(*setting).stdout == "1\n"
    routerd.stop()
    routerd.cli("teardown")
    wait_for("the old setting", lambda: line.ce.run(*setting).stdout == "0\n")
