# SPDX-License-Identifier: GPL-3.0-or-later
"""The border relay of the lab, which checks every packet and counts what breaks RFC 7597."""

import json
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import paths
from .isps import AFTR, MAPDomain
from .netns import Namespace, end
from .waiting import wait_for

TUNNEL_MTU = 1460
BR_ADDRESS = "192.0.2.1"
"""The relay's own IPv4 address, which a traceroute shows as its hop."""


@dataclass(frozen=True)
class Verdict:
    """What the judge has seen since its last reset."""

    violations: dict[str, int]
    info: dict[str, int] = field(default_factory=dict)
    ports: frozenset[int] = frozenset()
    recent: tuple[str, ...] = ()
    """The last violations in words."""

    @property
    def total(self) -> int:
        return sum(self.violations.values())


class Judge:
    """A running `labbr` in the ISP's namespace."""

    def __init__(
        self, isp: Namespace, domain: MAPDomain | AFTR, device: str, directory: Path, *options: str
    ) -> None:
        self.domain = domain
        self.device = device
        self._stats = directory / f"{device}.json"
        self._log = directory / f"{device}.log"
        for relay in domain.relays:
            isp.ip(f"addr add {relay}/128 dev lo nodad")
        relays = [word for relay in domain.relays for word in ("--relay", relay)]
        argv = [str(paths.labbr()), *domain.judge_arguments, *relays, *options]
        argv += ["--tun", device, "--stats", str(self._stats)]
        with self._log.open("wb") as log:
            self._process = isp.start(argv, output=log)
        wait_for(f"{device} of labbr", lambda: self._exists(isp))
        isp.ip(
            f"""addr replace {BR_ADDRESS}/32 dev {device}
                link set {device} mtu {TUNNEL_MTU} up
                route replace {domain.ipv4} dev {device}"""
        )

    def verdict(self) -> Verdict:
        """Asks the judge for its counts."""
        self._stats.unlink(missing_ok=True)
        self._process.send_signal(signal.SIGUSR1)
        raw = wait_for("the judge's verdict", self._read)
        ports = frozenset(port for first, last in raw.get("ports", []) for port in range(first, last + 1))
        return Verdict(raw["violations"], raw.get("info", {}), ports, tuple(map(str, raw.get("recent", ()))))

    def reset(self) -> None:
        """Forgets all counts; returns when that has happened."""
        self._process.send_signal(signal.SIGUSR2)
        self.verdict()

    def assert_clean(self) -> None:
        """Fails with the list of violations if there was any."""
        verdict = self.verdict()
        wrong = {kind: count for kind, count in verdict.violations.items() if count}
        assert not wrong, "\n".join([f"the border relay saw violations: {wrong}", *verdict.recent])

    def close(self) -> None:
        end(self._process)

    def _exists(self, isp: Namespace) -> bool:
        if self._process.poll() is not None:
            raise AssertionError(f"labbr ended at once: {self._log.read_text()}")
        return isp.run("ip", "link", "show", self.device, check=False).returncode == 0

    def _read(self) -> dict[str, Any] | None:
        if self._process.poll() is not None:
            raise AssertionError(f"labbr has ended: {self._log.read_text()}")
        try:
            return json.loads(self._stats.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
