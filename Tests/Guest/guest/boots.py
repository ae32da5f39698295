# SPDX-License-Identifier: GPL-3.0-or-later
"""Which boots `make test-guest` makes, and what runs in each.

A suite takes many times longer in the emulator than on the host, and most of what it proves does not depend on the
kernel. What is here does: the packets of every ISP's line through the kernel's own NAT and tunnel, how the kernel looks
for a free port (Debian 12's does not give up the ports of closed connections early), what it refuses on the outside,
and that state ends as wanted. One setting of the offloads is enough, the one that is like a real network card.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Boot:
    """One start of the guest."""

    name: str
    suite: str
    dataplane: str
    pytest: tuple[str, ...]
    limit: float = 900


def boots(build: Path) -> list[Boot]:
    """The boots for the programs in a folder: with the kernel's dataplane if that was built, else with TUN."""
    kernel = "ip6tnl" if (build / "libIP6Tnl.so").exists() else "tun"
    lines = ("suites/test_profiles.py", "suites/test_ports.py", "suites/test_outside.py")
    of_lines = "(test_profiles and plain) or (test_ports and biglobe-plain) or test_outside"
    of_state = "same_state or damage or teardown"
    return [
        Boot("lines", "bookworm", kernel, (*lines, "-n", "2", "-k", of_lines)),
        Boot("state", "bookworm", kernel, ("suites/test_state.py", "-n", "2", "-k", of_state)),
        Boot("trixie", "trixie", kernel, ("suites/test_profiles.py", "-k", "biglobe-plain")),
        Boot("systemd", "bookworm", kernel, ("suites/test_systemd.py",)),
    ]
