# SPDX-License-Identifier: GPL-3.0-or-later
"""routerd as the system service that it is on a router: the files of `packaging/` where a package puts them, run by the
machine's systemd. It stays installed: only for a machine that is thrown away afterwards.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

from . import paths
from .daemon import Config, toml
from .netns import run
from .waiting import wait_for

UNIT = "routerd.service"
_PACKAGING = paths.REPOSITORY / "packaging"
_USR = Path("/usr/lib")
_PLACES = {
    "systemd/routerd.service": _USR / "systemd/system",
    "sysusers.d/routerd.conf": _USR / "sysusers.d",
    "sysctl.d/50-routerd.conf": _USR / "sysctl.d",
    "modules-load.d/routerd.conf": _USR / "modules-load.d",
}
_BESIDE_NETWORKD = {
    "networkd/routerd.conf": _USR / "systemd/networkd.conf.d",
    "networkd/00-routerd.network": _USR / "systemd/network",
}


def _place(files: dict[str, Path]) -> None:
    for name, folder in files.items():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / Path(name).name).write_bytes((_PACKAGING / name).read_bytes())


def systemctl(*words: str) -> None:
    """Runs `systemctl`, which waits until what it is asked for is done."""
    run("systemctl", *words)


class InstalledRouterd:
    """The unit: installed once, started and stopped at will."""

    def __init__(self) -> None:
        _place(_PLACES)
        # A link and not a copy: the programs find the rest of the build tree from where they really are.
        Path("/usr/bin/routerd").symlink_to(paths.routerd())
        run("systemd-sysusers")
        run("/lib/systemd/systemd-sysctl", "50-routerd.conf")
        systemctl("restart", "systemd-modules-load.service")
        systemctl("daemon-reload")

    @staticmethod
    def stand_beside_networkd(installed: bool = True) -> None:
        """Installs or removes what keeps systemd-networkd off routerd's things."""
        if installed:
            _place(_BESIDE_NETWORKD)
        else:
            for name, folder in _BESIDE_NETWORKD.items():
                (folder / Path(name).name).unlink(missing_ok=True)

    @staticmethod
    def configure(config: Config) -> None:
        """Writes the configuration; a running daemon sees it when it is reloaded or restarted."""
        file = Path("/etc/routerd/routerd.toml")
        file.parent.mkdir(exist_ok=True)
        file.write_text(toml(config))

    def start_up(self) -> dict[str, Any]:
        """Starts the unit afresh and returns its status when IPv4 works."""
        systemctl("restart", UNIT)
        return self.wait_up()

    def wait_up(self) -> dict[str, Any]:
        """Waits until IPv4 works and returns the status."""
        try:
            return wait_for("routerd to be up", lambda: self.status() if self.status()["state"] == "up" else None, 15)
        except TimeoutError as error:
            raise AssertionError(f"{error}; {self.status()}; journal:\n{self.journal}") from None

    @staticmethod
    def stop() -> None:
        systemctl("stop", UNIT)

    @staticmethod
    def status() -> dict[str, Any]:
        """What the daemon says of itself."""
        return json.loads(run("routerd", "status", "--json", check=False).stdout)

    @property
    def pid(self) -> int:
        return int(run("systemctl", "show", "--property", "MainPID", "--value", UNIT).stdout)

    @property
    def journal(self) -> str:
        """What the unit has written since the machine started."""
        return subprocess.run(
            ["journalctl", "--unit", UNIT, "--no-pager", "--output", "cat"], capture_output=True, text=True, check=True
        ).stdout
