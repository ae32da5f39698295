# SPDX-License-Identifier: GPL-3.0-or-later
"""A border relay that answers nothing is left for one that does, and only then; and what is said when none carries.

    lan ---- ce ==== isp ---- inet        SERVER answers the probes
                     relays 2001:260:700:1::1:275 (of the line's rule) and ::276, both of BIGLOBE

The relay of the lab takes packets at both addresses and sends down from the first, so that an answer through the second
always comes from another relay than was asked: such answers are genuine. A relay that carries nothing is a rule that
drops what is sent into its tunnel; without that rule for ICMPv6 the kernel of the ISP answers echo at its address.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from lab import clients
from lab.daemon import Routerd
from lab.isps import BIGLOBE, DSLITE, OCN, Subscriber
from lab.line import SERVER, Line
from lab.servers import HOLD
from lab.waiting import wait_for

EAST, WEST = BIGLOBE.domain.relays
SWITCH_LIMIT = 8.0
"""Seconds within which a dead relay must be left, and within which it must be said that nothing comes back."""
ALONE = [
    pytest.param(OCN, {}, id="ocn"),
    pytest.param(DSLITE, {"profile": "dslite", "dslite": {"aftr": "transix"}}, id="dslite"),
]
"""Lines with a single relay."""
TUNNEL, ECHO = "meta l4proto ipencap", "icmpv6 type echo-request"


@pytest.fixture(scope="module")
def line() -> Iterator[Line]:
    with Line(BIGLOBE) as line:
        yield line


@pytest.fixture
def routerd(line: Line) -> Iterator[Routerd]:
    with Routerd(line.ce, {"probe": {"targets": [SERVER]}}) as routerd:
        routerd.start_up()
        line.servers.forget()
        yield routerd
        revive(line)
        routerd.stop()
        routerd.cli("teardown")


def kill(line: Line, *relays: str, what: tuple[str, ...] = (TUNNEL,)) -> None:
    drops = "".join(f"ip6 daddr {relay} {kind} drop; " for relay in relays for kind in what)
    hook = "type filter hook prerouting priority -400"
    line.isp.run("nft", f"add table ip6 dead; add chain ip6 dead in {{ {hook}; {drops}}}")


def revive(line: Line) -> None:
    line.isp.run("nft", "add table ip6 dead; delete table ip6 dead")


def relay(routerd: Routerd) -> str:
    return routerd.status()["softwire"]["borderRelay"]


def report(routerd: Routerd, relay: str) -> dict[str, Any]:
    """What the status says of a relay; empty until the first probe."""
    return next((each for each in routerd.status()["relays"] if each["address"] == relay), {})


def wait_known(routerd: Routerd, relay: str) -> dict[str, Any]:
    """Waits until the relay has carried a packet and it is known whether it answers echo."""

    def known() -> dict[str, Any] | None:
        found = report(routerd, relay)
        return found if "secondsSinceAnswer" in found and "answersEcho" in found else None

    return wait_for(f"what {relay} answers", known)


def test_an_answer_from_the_other_relay_is_taken_and_told(line: Line, routerd: Routerd) -> None:
    told = f"a probe sent through {WEST} is answered through {EAST}"
    wait_for("the report", lambda: told in routerd.log, timeout=10)
    assert relay(routerd) == EAST
    clients.ping(line.lan, SERVER)
    assert routerd.log.count(told) == 1
    # The answers are the daemon's: they are no packets that nobody asked for.
    assert not any(routerd.status()["counters"].get(name) for name in ("unsolicited", "outside_port_set_in"))


def test_a_dead_relay_is_left_and_connections_live(line: Line, routerd: Routerd) -> None:
    with clients.hold(line.lan, [(SERVER, HOLD)] * 20) as opened:
        assert opened.failed == []
        # Probes have to have been answered, or there is no telling who is alive.
        wait_for("probes", lambda: "is answered through" in routerd.log, timeout=10)
        kill(line, EAST)
        wait_for("the other relay", lambda: relay(routerd) == WEST, timeout=SWITCH_LIMIT, interval=0.1, promised=True)
        opened.assert_alive()
    told = f"nothing comes back through the border relay {EAST}, while {WEST} answers: traffic moves there"
    assert f"{told}; the dead one still answers echo" in routerd.log
    assert routerd.status()["warnings"] == []
    clients.ping(line.lan, SERVER)
    line.judge.assert_clean()


def test_nothing_moves_when_no_relay_answers(line: Line, routerd: Routerd) -> None:
    wait_for("probes", lambda: "is answered through" in routerd.log, timeout=10)
    kill(line, EAST, WEST)
    with pytest.raises(TimeoutError):
        wait_for(
            "a change of relay", lambda: relay(routerd) != EAST, timeout=SWITCH_LIMIT + 2, interval=0.5, promised=True
        )
    revive(line)
    clients.ping(line.lan, SERVER)


def test_a_relay_that_answers_no_echo_is_as_good(line: Line, routerd: Routerd) -> None:
    kill(line, EAST, what=(ECHO,))
    routerd.restart()
    wait_for("the report", lambda: report(routerd, EAST).get("answersEcho") is False)
    assert report(routerd, WEST)["answersEcho"] is True
    assert relay(routerd) == EAST
    assert routerd.status()["warnings"] == []
    assert "echo" not in routerd.log
    out = routerd.cli("status").stdout
    assert f"{EAST} in use: answered through the tunnel" in out
    assert f"{WEST}: answered through the tunnel" in out


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ((TUNNEL,), f"nothing comes back through the tunnel (asked: {SERVER}), while {EAST} and {WEST} answer echo"),
        ((TUNNEL, ECHO), f"no relay can be reached: nothing comes back from {EAST} and {WEST}"),
    ],
    ids=["echo-only", "nothing"],
)
def test_the_cause_is_told_once(line: Line, routerd: Routerd, what: tuple[str, ...], told: str) -> None:
    wait_known(routerd, EAST)
    kill(line, EAST, WEST, what=what)
    wait_for("the report", lambda: told in routerd.log, timeout=SWITCH_LIMIT, interval=0.1, promised=True)
    status = routerd.status()
    assert status["state"] == "up" and any(told in warning for warning in status["warnings"])
    answered = report(routerd, WEST)["secondsSinceAnswer"]
    wait_for("more probes", lambda: report(routerd, WEST)["secondsSinceAnswer"] > answered + 3)
    revive(line)
    wait_for("the end", lambda: "packets come back through the relay" in routerd.log)
    assert routerd.status()["warnings"] == []
    causes = ("nothing comes back through the tunnel", "no relay can be reached")
    assert sum(routerd.log.count(cause) for cause in causes) == 1


def test_without_targets_nothing_is_sent(line: Line) -> None:
    line.isp.run("nft", "add table ip6 seen; add chain ip6 seen in { type filter hook prerouting priority -400; }")
    for relay in (EAST, WEST):
        line.isp.run("nft", f"add rule ip6 seen in ip6 daddr {relay} counter")

    def packets() -> int:
        return line.isp.run("nft", "list table ip6 seen").stdout.count("packets 0 bytes 0")

    with Routerd(line.ce) as routerd:
        routerd.start_up()
        assert routerd.status()["relays"] == []
        # The counters count, and only what a client sends.
        assert packets() == 2
        clients.ping(line.lan, SERVER)
        assert packets() == 1
        routerd.reload({"probe": {"targets": [SERVER]}})
        wait_known(routerd, WEST)
        assert packets() == 0
        routerd.stop()
        routerd.cli("teardown")
    line.isp.run("nft", "delete table ip6 seen")


@pytest.mark.parametrize(("subscriber", "config"), ALONE)
def test_a_single_relay_is_watched(subscriber: Subscriber, config: dict[str, Any]) -> None:
    with Line(subscriber) as line, Routerd(line.ce, {**config, "probe": {"targets": [SERVER]}}) as routerd:
        routerd.start_up()
        found = wait_known(routerd, subscriber.relay)
        assert found["isInUse"] and found["answersEcho"] is True
        clients.ping(line.lan, SERVER)
        line.judge.assert_clean()
        assert not any(routerd.status()["counters"].get(name) for name in ("unsolicited", "outside_port_set_in"))
        kill(line, subscriber.relay)
        told = f"while {subscriber.relay} answers echo: is it the wrong relay for this prefix?"
        wait_for("the report", lambda: told in routerd.log, timeout=SWITCH_LIMIT, interval=0.1, promised=True)
        revive(line)
        wait_for("the end", lambda: f"packets come back through the relay {subscriber.relay} again" in routerd.log)
