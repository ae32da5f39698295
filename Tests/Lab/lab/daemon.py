# SPDX-License-Identifier: GPL-3.0-or-later
"""routerd under test: its configuration in a folder of its own, its life, and its command line."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from . import paths
from .netns import CommandError, Namespace, end, scratch_folder
from .waiting import wait_for

Config = Mapping[str, Any]

DATAPLANE = os.environ.get("ROUTERD_DATAPLANE") or "tun"
"""The dataplane that is tested."""


def toml(config: Config, path: str = "") -> str:
    """Writes nested mappings and lists of mappings as TOML; plain values first, as TOML demands."""

    def value(item: Any) -> str:
        if isinstance(item, (list, tuple)):
            return "[" + ", ".join(value(each) for each in item) + "]"
        return json.dumps(item)

    def sections(item: Any) -> list[Config]:
        items = item if isinstance(item, (list, tuple)) else [item]
        return [each for each in items if isinstance(each, Mapping)]

    plain = [f"{key} = {value(item)}" for key, item in config.items() if not sections(item)]
    tables = [
        (f"\n[{path}{key}]\n" if isinstance(item, Mapping) else f"\n[[{path}{key}]]\n") + toml(each, f"{path}{key}.")
        for key, item in config.items()
        for each in sections(item)
    ]
    return "\n".join([*plain, *tables]) + "\n"


def merged(base: Config, changes: Config) -> dict[str, Any]:
    """`base` with `changes` laid over it, table by table."""
    result = dict(base)
    for key, item in changes.items():
        old = result.get(key)
        result[key] = merged(old, item) if isinstance(item, Mapping) and isinstance(old, Mapping) else item
    return result


class Routerd:
    """One installation in one namespace: its daemon is started and killed at will, its files stay until `close()`."""

    def __init__(self, ce: Namespace, changes: Config | None = None) -> None:
        self.ce = ce
        self.directory = scratch_folder()
        self.config_file = self.directory / "routerd.toml"
        self.fragments = self.directory / "conf.d"
        self._log = self.directory / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self.start_seconds = 0.0
        self.up_seconds = 0.0
        (self.directory / "state").mkdir()
        self.config: dict[str, Any] = {
            "profile": "auto",
            "wan": {"interface": "wan0"},
            "lan": {"interfaces": ["lan0"]},
            "softwire": {"dataplane": DATAPLANE},
            "probe": {"targets": []},  # so that every packet on the line is one of the test's
            "control": {"socket": str(self.directory / "control")},
            "state": {"directory": str(self.directory / "state")},
        }
        self.configure(changes or {})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def close(self) -> None:
        if self._process is not None:
            end(self._process)
        shutil.rmtree(self.directory, ignore_errors=True)

    def configure(self, changes: Config) -> None:
        """Changes settings; a running daemon sees them at its next start."""
        self.config = merged(self.config, changes)
        self.config_file.write_text(toml(self.config))

    # Life

    @property
    def pid(self) -> int:
        assert self._process is not None, "routerd was not started"
        return self._process.pid

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def command(self) -> list[str]:
        return [str(paths.routerd()), "run", "--config", str(self.config_file)]

    def start(self, timeout: float = 20) -> Self:
        """Starts the daemon and returns when it has said that it is ready."""
        self._log.unlink(missing_ok=True)
        begun = time.monotonic()
        with self._log.open("wb") as log:
            self._process = self.ce.start(self.command, output=log, own_sysfs=True)
        try:
            wait_for("routerd to be ready", self._ready, timeout, interval=0.005)
        except TimeoutError as error:
            raise AssertionError(f"{error}; its log:\n{self.log}") from None
        self.start_seconds = time.monotonic() - begun
        return self

    def start_up(self) -> Self:
        """Starts the daemon and returns when IPv4 works."""
        begun = time.monotonic()
        self.start()
        self.wait_up()
        self.up_seconds = time.monotonic() - begun
        return self

    def stop(self) -> int:
        """Asks the daemon to end, as systemd does, and returns its exit status."""
        assert self._process is not None
        return end(self._process, patience=10)

    def kill(self) -> None:
        """Ends the daemon without giving it a chance to do anything."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def restart(self) -> None:
        self.stop()
        self.start_up()

    def wait_state(self, state: str, timeout: float = 15) -> dict[str, Any]:
        """Waits for a state and returns the whole status."""
        last: dict[str, Any] = {}

        def reached() -> dict[str, Any] | None:
            last.clear()
            last.update(self.status())
            return last if last.get("state") == state else None

        try:
            return dict(wait_for(f"the state {state}", reached, timeout))
        except TimeoutError as error:
            raise AssertionError(f"{error}; status {last}; log:\n{self.log}") from None

    def wait_up(self, profile: str | None = None, timeout: float = 15) -> dict[str, Any]:
        """Waits until IPv4 works, on request with a certain profile."""
        status = self.wait_state("up", timeout)
        if profile is not None and status["profile"] != profile:
            wait_for(f"the profile {profile}", lambda: self.status().get("profile") == profile, timeout)
            return self.wait_state("up", timeout)
        return status

    def _ready(self) -> bool:
        assert self._process is not None
        if (code := self._process.poll()) is not None:
            raise AssertionError(f"routerd ended with {code}; its log:\n{self.log}")
        return "routerd: ready" in self.log

    # Command line

    def cli(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs a verb of the command line, with this installation's configuration."""
        done = self.ce.run(str(paths.routerd()), *argv, "--config", str(self.config_file), check=False)
        if check and done.returncode != 0:
            raise CommandError(f"routerd {' '.join(argv)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def status(self) -> dict[str, Any]:
        """What the running daemon says of itself; exit status 1 only says that it is not up."""
        done = self.cli("status", "--json", check=False)
        if done.returncode > 1 or not done.stdout:
            raise CommandError(f"routerd status: exit {done.returncode}\n{done.stderr}\nits log:\n{self.log}")
        return json.loads(done.stdout)

    def counters(self) -> dict[str, int]:
        return self.status().get("counters", {})

    def reload(self, changes: Config | None = None) -> dict[str, Any]:
        """Has the running daemon go by a changed configuration; the status when that has been done."""
        self.configure(changes or {})
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
            control.settimeout(30)
            control.connect(self.config["control"]["socket"])
            control.sendall(b'"reload"\0')
            answer = b""
            while not answer.endswith(b"\0"):
                chunk = control.recv(65536)
                assert chunk, f"the daemon broke off; its log:\n{self.log}"
                answer += chunk
        reply = json.loads(answer[:-1])
        assert "error" not in reply, f"the daemon refuses: {reply['error']}"
        return reply["status"]

    def cpu_seconds(self) -> float:
        """The processor time that the daemon has taken."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> dict[str, int]:
        """Resident and proportional set size in KiB."""
        resident = Path(f"/proc/{self.pid}/status").read_text()
        proportional = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return {
            "VmRSS": int(re.search(r"VmRSS:\s+(\d+)", resident)[1]),  # type: ignore[index]
            "PSS": int(re.search(r"^Pss:\s+(\d+)", proportional, re.MULTILINE)[1]),  # type: ignore[index]
        }
