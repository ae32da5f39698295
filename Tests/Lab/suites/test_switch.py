# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing the profile of a running daemon, and restarting it, interrupts IPv4 for less than a second.

    lan ---- ce ==== isp (judges br0 of BIGLOBE, br1 of NURO) ---- inet        SERVER
                     both prefixes on one WAN link

The WAN interface has an address of each ISP, as in the days after a change of ISP. The silence is measured by a ping
every 10 ms from a LAN host, with one and the same echo identifier throughout: it must survive the change of address.
"""

import time
import tomllib
from collections.abc import Iterator

import pytest

from lab import clients
from lab.daemon import Routerd
from lab.isps import BIGLOBE, NURO, Subscriber
from lab.line import SERVER, Line
from lab.servers import HOLD

LONGEST_SILENCE = 1.0


@pytest.fixture(scope="module")
def line() -> Iterator[Line]:
    with Line((BIGLOBE, NURO)) as line:
        yield line


@pytest.fixture
def routerd(line: Line) -> Iterator[Routerd]:
    with Routerd(line.ce, {"profile": "biglobe"}) as routerd:
        routerd.start_up()
        line.servers.forget()
        yield routerd
        routerd.stop()
        routerd.cli("teardown")
    line.assert_clean()


def persisted(routerd: Routerd) -> str | None:
    """The profile that the fragments beside the configuration file name."""
    found = None
    for file in sorted(routerd.fragments.glob("*.toml")):
        found = tomllib.loads(file.read_text()).get("profile", found)
    return found


def assert_works_as(line: Line, routerd: Routerd, subscriber: Subscriber) -> None:
    status = routerd.status()
    assert status["state"] == "up"
    assert status["profile"] == subscriber.profile
    assert status["softwire"]["ipv4"] == subscriber.ipv4
    line.servers.forget()
    with clients.hold(line.lan, [(SERVER, HOLD)] * 30) as opened:
        assert opened.failed == []
        opened.assert_alive()
    assert {address for address, _ in line.servers.callers} == {subscriber.ipv4}
    assert {port for _, port in line.servers.callers} <= subscriber.ports


def addresses(line: Line) -> str:
    return line.ce.run("ip", "-o", "addr", "show").stdout


def assert_short(pinger: clients.Pinger) -> None:
    pinger.stop()
    assert pinger.count > 50
    assert pinger.usual_gap < 0.03, f"too coarse a measurement: {pinger.usual_gap:.3f} s between replies"
    print(f"longest silence {pinger.longest_silence * 1000:.0f} ms in {pinger.count} replies")
    assert pinger.longest_silence < LONGEST_SILENCE, f"silent for {pinger.longest_silence:.2f} s"


def test_profile_set_switches_live(line: Line, routerd: Routerd) -> None:
    with clients.Pinger(line.lan, SERVER) as pinger:
        time.sleep(0.5)
        routerd.cli("profile", "set", "nuro")
        routerd.wait_up("nuro")
        time.sleep(1.5)
        assert_short(pinger)
    assert_works_as(line, routerd, NURO)
    assert persisted(routerd) == "nuro"
    assert BIGLOBE.ipv4 not in addresses(line), "the old address was left"
    assert BIGLOBE.ce_address not in addresses(line), "the old CE address was left"

    with clients.Pinger(line.lan, SERVER) as pinger:
        time.sleep(0.5)
        routerd.cli("profile", "set", "biglobe")
        routerd.wait_up("biglobe")
        time.sleep(1.5)
        assert_short(pinger)
    assert_works_as(line, routerd, BIGLOBE)


def test_the_choice_survives_a_restart(line: Line, routerd: Routerd) -> None:
    routerd.cli("profile", "set", "nuro")
    routerd.wait_up("nuro")
    routerd.restart()
    assert_works_as(line, routerd, NURO)
    routerd.cli("profile", "set", "auto")
    assert persisted(routerd) == "auto"
    assert routerd.wait_up()["requestedProfile"] == "auto"


def test_old_connections_do_not_linger(line: Line, routerd: Routerd) -> None:
    """Connections of the old address cannot go on; their entries must not hold the ports of the new one."""
    with clients.hold(line.lan, [(SERVER, HOLD)] * 50):
        routerd.cli("profile", "set", "nuro")
        routerd.wait_up("nuro")
        entries = line.ce.run("conntrack", "-L", "-p", "tcp").stdout
        assert f"dst={BIGLOBE.ipv4}" not in entries
    assert_works_as(line, routerd, NURO)


def test_restart_is_short(line: Line, routerd: Routerd) -> None:
    with clients.Pinger(line.lan, SERVER) as pinger, clients.hold(line.lan, [(SERVER, HOLD)] * 20) as opened:
        time.sleep(0.5)
        routerd.restart()
        time.sleep(1)
        assert_short(pinger)
        opened.assert_alive()


def test_start_after_a_kill_is_short(line: Line, routerd: Routerd) -> None:
    with clients.Pinger(line.lan, SERVER) as pinger, clients.hold(line.lan, [(SERVER, HOLD)] * 20) as opened:
        time.sleep(0.5)
        routerd.kill()
        routerd.start_up()
        time.sleep(1)
        assert_short(pinger)
        opened.assert_alive()


def test_a_name_that_does_not_exist_lists_those_that_do(line: Line, routerd: Routerd) -> None:
    refused = routerd.cli("profile", "set", "nonesuch", check=False)
    assert refused.returncode == 2
    for name in ("biglobe", "ocn", "nuro", "v6plus", "dslite"):
        assert name in refused.stderr
    assert persisted(routerd) is None
    assert_works_as(line, routerd, BIGLOBE)


def test_a_profile_without_a_rule_is_refused_with_the_reason(line: Line, routerd: Routerd) -> None:
    refused = routerd.cli("profile", "set", "ocn", check=False)
    assert refused.returncode == 3
    assert "ocn" in refused.stderr.lower()
    assert "2404:7a82:4d02:4100::" in refused.stderr, "the explanation does not name the line's prefix"
    assert persisted(routerd) is None
    assert_works_as(line, routerd, BIGLOBE)


def test_force_persists_it_all_the_same(line: Line, routerd: Routerd) -> None:
    routerd.cli("profile", "set", "ocn", "--force")
    assert persisted(routerd) == "ocn"
    routerd.cli("profile", "set", "biglobe")
    assert persisted(routerd) == "biglobe"
    routerd.wait_up("biglobe")
    assert_works_as(line, routerd, BIGLOBE)


def test_without_a_daemon_the_choice_is_kept_for_its_start(line: Line, routerd: Routerd) -> None:
    routerd.stop()
    routerd.cli("profile", "set", "nuro")
    assert persisted(routerd) == "nuro"
    routerd.start_up()
    assert_works_as(line, routerd, NURO)
