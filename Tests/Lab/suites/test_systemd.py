# SPDX-License-Identifier: GPL-3.0-or-later
"""routerd as its unit, in its sandbox, and with systemd-networkd beside it, which removes what it has not set itself.

    lan ---- the machine itself ==== isp ---- inet        SERVER
             lan0          wan0

systemd-networkd runs WAN and LAN here, with addresses and routes of its own, and matches every other device, too, as one
file of a careless administrator does. Whatever it is made to do, routerd's route never goes away, the CE address is back
within a second, and a ping goes on. The last test takes away what keeps networkd off, and shows that it would be seen.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv6Address
from pathlib import Path
from typing import Self

import pytest

from lab import clients
from lab.isps import BIGLOBE
from lab.line import ROUTER, SERVER, Line
from lab.netns import Machine, run, scratch_folder
from lab.unit import UNIT, InstalledRouterd, systemctl
from lab.waiting import wait_for

pytestmark = pytest.mark.skipif(
    not Path("/usr/lib/routerd-guest").exists(), reason="takes the whole machine: only in the guest"
)

_CE_ROW = IPv6Address(BIGLOBE.ce_address).packed.hex()
"""How /proc/net/if_inet6 writes the CE address."""
LIMIT = 1.0
"""Seconds within which the CE address must be back."""
ROUNDS = 3
FOREIGN = "2001:db8:f00::/48"
"""A route on the WAN that belongs to neither."""
NETWORK = Path("/etc/systemd/network")
ACTIONS: dict[str, Callable[[], None]] = {
    "restart": lambda: systemctl("restart", "systemd-networkd.service"),
    "reload": lambda: change_and_reload(),
    "reconfigure": lambda: run("networkctl", "reconfigure", "wan0", "lan0") and None,
}


@pytest.fixture(scope="module")
def line() -> Iterator[Line]:
    with Line(BIGLOBE, offloads=False, router=Machine()) as line:
        yield line


@pytest.fixture(scope="module")
def networkd(line: Line) -> None:
    """Runs WAN and LAN by systemd-networkd."""
    for name, body in {
        "10-wan": f"Name=wan0\n[Network]\nIPv6AcceptRA=no\nAddress={BIGLOBE.wan_address}/64\nGateway=fe80::1",
        "10-lan": f"Name=lan0\n[Network]\nAddress={ROUTER}/24",
        "90-all": "Name=*\n[Network]\nDHCP=no",
    }.items():
        (NETWORK / f"{name}.network").write_text(f"[Match]\n{body}\n")
    InstalledRouterd.stand_beside_networkd()
    systemctl("start", "systemd-networkd.service")
    wait_configured()


@pytest.fixture(scope="module")
def routerd(line: Line) -> InstalledRouterd:
    return InstalledRouterd()


def config(dataplane: str) -> dict[str, object]:
    return {
        "wan": {"interface": "wan0"},
        "lan": {"interfaces": ["lan0"]},
        "softwire": {"dataplane": dataplane},
        "probe": {"targets": []},
    }


def wait_configured() -> None:
    def is_configured(link: str) -> bool:
        return "(configured)" in run("networkctl", "status", link, check=False).stdout

    wait_for("networkd to have configured its links", lambda: is_configured("wan0") and is_configured("lan0"))


def change_and_reload() -> None:
    """networkd configures anew what belongs to a changed file."""
    file = NETWORK / "10-wan.network"
    file.write_text(file.read_text() + "# changed\n")
    run("networkctl", "reload")


class Watch:
    """Everything that happens to addresses and routes, and whether default route and CE address are there each time one
    looks: the kernel does not tell of all routes that go, nor at once of an address that is back."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._folder = scratch_folder()
        self._events = self._folder / "events"
        self._pings = self._folder / "pings"
        self._ending = threading.Event()
        self._looking = threading.Thread(target=self._look)
        self.looks = 0
        self.without_route = 0
        self.absences: list[float] = []
        """How long the CE address was away, each time that it came back."""

    def __enter__(self) -> Self:
        with self._events.open("wb") as events:
            monitor = ["ip", "-o", "monitor", "address", "route"]
            self._monitor = self._line.ce.start(["stdbuf", "-oL", *monitor], output=events)
        with self._pings.open("wb") as pings:
            self._ping = self._line.lan.start(["ping", "-n", "-D", "-i", "0.1", SERVER], output=pings)
        self._looking.start()
        wait_for("answers", lambda: len(self.answers) > 5)
        return self

    def __exit__(self, *failure: object) -> None:
        count = len(self.answers)
        wait_for("more answers", lambda: len(self.answers) > count + 5)
        self._ending.set()
        self._looking.join()
        for child in (self._ping, self._monitor):
            child.terminate()
            child.wait()

    def _look(self) -> None:
        away_since: float | None = None
        while not self._ending.is_set():
            rows = [row.split() for row in Path("/proc/net/route").read_text().splitlines()]
            self.looks += 1
            self.without_route += not any(row[0] == "softwire0" and row[1] == "00000000" for row in rows)
            is_there = _CE_ROW in Path("/proc/net/if_inet6").read_text()
            if not is_there and away_since is None:
                away_since = time.monotonic()
            elif is_there and away_since is not None:
                self.absences.append(time.monotonic() - away_since)
                away_since = None
            time.sleep(0.01)

    @property
    def answers(self) -> list[float]:
        """When pings were answered."""
        rows = re.findall(r"^\[([\d.]+)\] \d+ bytes from", self._pings.read_text(), re.MULTILINE)
        return [float(when) for when in rows]

    @property
    def longest_silence(self) -> float:
        answers = self.answers
        return max(later - earlier for earlier, later in zip(answers, answers[1:]))

    @property
    def removals(self) -> list[str]:
        """What of routerd's the kernel says was removed, apart from the CE address."""
        gone = [row for row in self._events.read_text().splitlines() if row.startswith("Deleted")]
        return [text for text in gone if "proto 133" in text or "softwire" in text]


@pytest.mark.parametrize("dataplane", ["tun", "ip6tnl"])
def test_the_unit_works_in_its_sandbox(line: Line, networkd: None, routerd: InstalledRouterd, dataplane: str) -> None:
    routerd.configure(config(dataplane))
    status = routerd.start_up()
    assert (status["profile"], status["dataplane"]) == ("biglobe", dataplane)
    clients.ping(line.lan, SERVER)
    clients.fetch(line.lan, SERVER, 100_003)
    rows = Path(f"/proc/{routerd.pid}/status").read_text().splitlines()
    facts = dict(row.split(":\t", 1) for row in rows if ":\t" in row)
    assert "0" not in facts["Uid"].split()
    assert int(facts["CapEff"], 16) == int(facts["CapBnd"], 16) == 1 << 12 | 1 << 13  # NET_ADMIN, NET_RAW
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")
    systemctl("reload", UNIT)
    wait_for("the reload", lambda: "configuration read again" in routerd.journal)
    systemctl("restart", UNIT)
    routerd.wait_up()
    clients.ping(line.lan, SERVER)
    for complaint in ("Failed", "ermission", "not permitted", "denied"):
        assert complaint not in routerd.journal, routerd.journal
    line.judge.assert_clean()
    routerd.stop()
    run("routerd", "teardown")


def test_the_sandbox_is_as_tight_as_promised(routerd: InstalledRouterd) -> None:
    run("systemd-analyze", "security", "--offline=true", "--threshold=20", UNIT)


@pytest.fixture(scope="module")
def beside(line: Line, networkd: None, routerd: InstalledRouterd) -> InstalledRouterd:
    """routerd up, and a route of somebody else on the WAN."""
    routerd.configure(config("ip6tnl"))
    routerd.start_up()
    run("ip", "-6", "route", "add", FOREIGN, "via", "fe80::1", "dev", "wan0", "proto", "bird")
    return routerd


def foreign_route() -> str:
    return run("ip", "-6", "route", "show", FOREIGN).stdout


@pytest.mark.parametrize("action", list(ACTIONS))
def test_networkd_takes_nothing_that_is_missed(line: Line, beside: InstalledRouterd, action: str) -> None:
    with Watch(line) as watch:
        for number in range(ROUNDS):
            ACTIONS[action]()
            wait_for("the address to be taken away and to be back", lambda: len(watch.absences) > number)
            wait_configured()
            beside.wait_up()
    away = ", ".join(f"{seconds:.2f}" for seconds in watch.absences)
    print(f"{action}: address away {away} s, longest silence {watch.longest_silence:.2f} s, {watch.looks} looks")
    assert watch.removals == []
    assert watch.looks > 100 and watch.without_route == 0
    # A machine that was busy just then does not count.
    assert sorted(watch.absences)[ROUNDS // 2] <= LIMIT, watch.absences
    assert watch.longest_silence <= 2 * LIMIT
    assert foreign_route() != ""
    assert beside.status()["warnings"] == []
    line.judge.assert_clean()


def test_control_without_our_files_it_would_be_seen(line: Line, beside: InstalledRouterd) -> None:
    beside.stand_beside_networkd(False)
    with Watch(line) as watch:
        ACTIONS["restart"]()
        wait_configured()
        wait_for("the softwire's address to be taken away", lambda: watch.removals)
    print(f"without: {watch.removals}, {watch.without_route} of {watch.looks} looks without a route")
    assert watch.without_route > 0
    assert foreign_route() == ""
    # Even then it is put right.
    beside.wait_up()
    clients.ping(line.lan, SERVER)
