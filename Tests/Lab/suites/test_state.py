# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's state after a restart is the state before it, an unchanged state is not touched, and teardown removes
exactly what routerd made.

    lan ---- ce ==== isp ---- inet

The whole state of the ce namespace is compared: links with their indexes, addresses, routes, policy rules, per-device
settings, and the nftables rules without handles and counters.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import clients
from lab.daemon import Routerd
from lab.isps import BIGLOBE, DSLITE, Subscriber
from lab.line import SERVER, Line
from lab.snapshot import difference, generation, settled, snapshot
from lab.waiting import patient, wait_for

FOREIGN = """
    table inet firewall {
        counter hits { }
        chain input { type filter hook input priority filter; iifname "lan0" tcp dport 22 counter accept; }
    }
"""

CONFIGS = {BIGLOBE: {}, DSLITE: {"profile": "dslite", "dslite": {"aftr": "transix"}}}


@pytest.fixture(params=list(CONFIGS), ids=lambda subscriber: subscriber.profile)
def lab(request: pytest.FixtureRequest) -> Iterator[tuple[Line, Routerd]]:
    """A router that has rules, an address and a route of its owner too."""
    subscriber: Subscriber = request.param
    with Line(subscriber) as line, Routerd(line.ce, CONFIGS[subscriber]) as routerd:
        line.ce.nft(FOREIGN)
        line.ce.ip("addr add 192.168.100.2/24 dev lan0\nroute add 10.0.0.0/8 via 192.168.100.1")
        yield line, routerd


def assert_same(before: dict[str, object], after: dict[str, object]) -> None:
    assert before == after, difference(before, after)


def test_restart_and_kill_end_in_the_same_state(lab: tuple[Line, Routerd]) -> None:
    line, routerd = lab
    routerd.start_up()
    clients.ping(line.lan, SERVER)
    state, number = settled(line.ce), generation(line.ce)

    assert routerd.stop() == 0
    routerd.start_up()
    assert_same(state, settled(line.ce))

    routerd.kill()
    routerd.start_up()
    assert_same(state, settled(line.ce))
    assert generation(line.ce) == number, "an unchanged state caused an nftables transaction"
    clients.ping(line.lan, SERVER)
    line.assert_clean()


def test_stop_leaves_the_state(lab: tuple[Line, Routerd]) -> None:
    """All but the carrier of the TUN device, which is there only while a process holds it."""
    line, routerd = lab
    routerd.start_up()
    state = settled(line.ce)
    routerd.stop()
    left = settled(line.ce)
    for part in ("nftables", "addresses", "rules4", "rules6", "settings"):
        assert_same({part: _without_carrier(state[part])}, {part: _without_carrier(left[part])})
    assert {link["ifname"]: link["ifindex"] for link in state["links"]} == {
        link["ifname"]: link["ifindex"] for link in left["links"]
    }


def _without_carrier(part: object) -> object:
    if not isinstance(part, list):
        return part
    return [{key: item for key, item in each.items() if key not in ("operstate", "flags")} for each in part]


def test_a_second_daemon_changes_nothing(lab: tuple[Line, Routerd]) -> None:
    line, routerd = lab
    routerd.start_up()
    state, number = settled(line.ce), generation(line.ce)
    second = line.ce.run("timeout", f"{patient(15):g}", *routerd.command, check=False)
    assert second.returncode == 1, f"exit {second.returncode}: {second.stderr}"
    assert "already" in second.stderr, second.stderr
    assert_same(state, settled(line.ce))
    assert generation(line.ce) == number
    assert routerd.status()["state"] == "up"
    clients.ping(line.lan, SERVER)


def test_unrelated_changes_cause_no_transaction(lab: tuple[Line, Routerd]) -> None:
    line, routerd = lab
    routerd.start_up()
    state, number = settled(line.ce), generation(line.ce)
    for _ in range(10):
        line.ce.ip("addr add 192.168.77.1/24 dev lan0")
        line.ce.ip("addr del 192.168.77.1/24 dev lan0")
    line.ce.ip("link set lan0 down\nlink set lan0 up\nroute replace 10.0.0.0/8 via 192.168.100.1")
    time.sleep(patient(2))
    assert generation(line.ce) == number
    assert_same(state, settled(line.ce))


@pytest.mark.parametrize(
    "damage",
    [
        ["ip", "route", "del", "default", "dev", "softwire0"],
        ["ip", "-4", "addr", "flush", "dev", "softwire0"],
        ["ip", "link", "set", "softwire0", "down"],
        ["nft", "delete", "table", "inet", "routerd"],
        ["sh", "-c", "echo 0 >/proc/sys/net/ipv4/conf/lan0/forwarding"],
    ],
    ids=["route", "address", "link", "rules", "forwarding"],
)
def test_damage_is_repaired(lab: tuple[Line, Routerd], damage: list[str]) -> None:
    line, routerd = lab
    routerd.start_up()
    state = settled(line.ce)
    line.ce.run(*damage)
    try:
        wait_for("the repair", lambda: snapshot(line.ce) == state, timeout=20, interval=0.1)
    except TimeoutError:
        assert_same(state, snapshot(line.ce))
    clients.ping(line.lan, SERVER)


def test_teardown_removes_exactly_what_routerd_made(lab: tuple[Line, Routerd]) -> None:
    line, routerd = lab
    before = settled(line.ce)
    routerd.start_up()
    clients.ping(line.lan, SERVER)
    assert settled(line.ce) != before
    routerd.stop()
    routerd.cli("teardown")
    assert_same(before, settled(line.ce))
    routerd.cli("teardown")  # and again: nothing is left to remove, which is no error
    assert_same(before, settled(line.ce))


def test_teardown_needs_no_plugin(lab: tuple[Line, Routerd], tmp_path: Path) -> None:
    line, routerd = lab
    before = settled(line.ce)
    routerd.start_up()
    routerd.stop()
    routerd.configure({"plugins": {"path": [str(tmp_path)]}})
    routerd.cli("teardown")
    assert_same(before, settled(line.ce))


def test_teardown_after_a_kill(lab: tuple[Line, Routerd]) -> None:
    line, routerd = lab
    before = settled(line.ce)
    routerd.start_up()
    routerd.kill()
    routerd.cli("teardown")
    assert_same(before, settled(line.ce))
    routerd.start_up()
    clients.ping(line.lan, SERVER)
