# SPDX-License-Identifier: GPL-3.0-or-later
"""Which boots the tests make, and what runs in each.

A suite takes many times longer in the emulator than on the host, and most of what it proves does not depend on the
kernel. `usual()` has what does: the packets of every ISP's line through the kernel's own NAT and tunnel, how the kernel
looks for a free port (Debian 12's does not give up the ports of closed connections early), what it refuses on the
outside, how its tunnels change place with TUN, and that damage to them is repaired. One setting of the offloads is
enough, the one that is like a real network card. `complete()` is every suite of the lab that can run there.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Boot:
    """One start of the guest."""

    name: str
    suite: str
    command: tuple[str, ...]
    """What runs, in the tree of the payload."""
    dataplane: str = "ip6tnl"
    limit: float = 900
    """Seconds after which the boot has failed."""
    bundle: Path | None = None
    """The Swift tests, if they are to come along."""
    counted: bool = False
    """Whether the clock is to count instructions."""


def pytest(*arguments: str) -> tuple[str, ...]:
    """Every test by name, so that the log of a boot that was ended tells how far it got, and where a test hangs."""
    inner = "cd Tests/Lab && exec python3 -m pytest -p no:cacheprovider --junitxml=/run/results/junit.xml -v"
    return ("sh", "-c", f'{inner} -o faulthandler_timeout=300 "$@"', "pytest", *arguments)


def suites(names: str, *arguments: str) -> tuple[str, ...]:
    """Suites of the lab by their names, some of them side by side."""
    return pytest(*(f"suites/test_{name}.py" for name in names.split()), *arguments)


def bench(*arguments: str) -> tuple[str, ...]:
    """The measurements, which have the guest for themselves."""
    return ("python3", "Tests/Lab/bench.py", *arguments)


def _tunnel(bundle: Path, *damage: str) -> Boot:
    """The dataplane's own tests, which are skipped where the kernel has no tunnels; then, with nothing beside them, the
    tests that routerd puts right in time what others change."""
    engine = (f".build/tests/{bundle.name}", "--testing-library", "swift-testing", "--filter", "IP6TnlTests")
    both = f"{shlex.join(engine)} && {shlex.join(suites('healing', *damage))}"
    return Boot("tunnel", "bookworm", ("sh", "-c", both), bundle=bundle)


def _unit() -> Boot:
    """The machine itself is the router: routerd as its unit, in its sandbox, beside systemd-networkd."""
    return Boot("systemd", "bookworm", suites("systemd"))


def usual(bundle: Path) -> list[Boot]:
    """The boots of `make test-guest`. The first has the longest labs first, so that the short ones fill what is left."""
    which = "(test_profiles and plain) or (test_ports and biglobe-plain) or not (test_profiles or test_ports)"
    return [
        Boot("lines", "bookworm", suites("outside ports relays dataplanes profiles", "-n", "4", "-k", which)),
        _tunnel(bundle, "-k", "device or MTU or address or route or table"),
        Boot("trixie", "trixie", suites("profiles", "-k", "biglobe-plain")),
        _unit(),
    ]


def complete(bundle: Path) -> list[Boot]:
    """The boots of `make test-guest-all`."""

    def boot(name: str, names: str, *arguments: str, suite: str = "bookworm", dataplane: str = "ip6tnl") -> Boot:
        return Boot(name, suite, suites(names, "-n", "4", *arguments), dataplane, limit=1800)

    return [
        boot("lines", "outside profiles dslite"),
        boot("ports", "ports", "-k", "plain"),
        boot("nat", "forwards filtering lans port_usage timeouts"),
        boot("state", "state switch wan"),
        boot("relays", "relays dataplanes"),
        boot("mesh", "mesh", dataplane="tun"),
        boot("trixie", "outside ports profiles", "-k", "biglobe-plain or test_outside", suite="trixie"),
        _tunnel(bundle),
        _unit(),
    ]
