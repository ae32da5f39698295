# SPDX-License-Identifier: GPL-3.0-or-later
"""A border relay that answers nothing is left for one that does, and only then.

    lan ---- ce ==== isp ---- inet        SERVER answers the probes
                     relays 2001:260:700:1::1:275 (of the line's rule) and ::276, both of BIGLOBE

The relay of the lab takes packets at both addresses and sends down from the first, so that an answer through the second
always comes from another relay than was asked: such answers are genuine. A dead relay is a rule that drops what is sent
to it.
"""

from collections.abc import Iterator

import pytest

from lab import clients
from lab.daemon import Routerd
from lab.isps import BIGLOBE
from lab.line import SERVER, Line
from lab.servers import HOLD
from lab.waiting import wait_for

EAST, WEST = BIGLOBE.domain.relays
SWITCH_LIMIT = 8.0
"""Seconds within which a dead relay must be left."""


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


def kill(line: Line, *relays: str) -> None:
    drops = "".join(f"ip6 daddr {relay} meta l4proto ipencap drop; " for relay in relays)
    line.isp.run("nft", f"add table ip6 dead; add chain ip6 dead in {{ type filter hook prerouting priority -400; {drops}}}")


def revive(line: Line) -> None:
    line.isp.run("nft", "add table ip6 dead; delete table ip6 dead")


def relay(routerd: Routerd) -> str:
    return routerd.status()["softwire"]["borderRelay"]


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
    assert f"nothing comes back through the border relay {EAST}, while {WEST} answers" in routerd.log
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
