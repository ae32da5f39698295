# SPDX-License-Identifier: GPL-3.0-or-later
"""Network namespaces with their processes and sockets; nothing outlives the process that made them.

A namespace belongs to a thread, not to a process. So `entered()` moves only the calling thread, and a socket
made or a program started inside stays there after the thread has moved back: no helper process is needed.
Names carry the pid; what a killed run left behind is swept by the next one.
"""

import atexit
import ctypes
import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Self

from .waiting import patient

_CLONE_NEWNET = 0x40000000
_RUN = Path("/run/netns")
_NAME = re.compile(r"rl(\d+)n\d+-\w+")
_SCRATCH = "routerd-lab-"

_libc = ctypes.CDLL(None, use_errno=True)
_count = itertools.count()
_live: dict[str, "Namespace"] = {}


class CommandError(AssertionError):
    """A program in the lab failed; the message holds all that it said."""


def _setns(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"setns: {os.strerror(error)}")


def run(
    *argv: str, check: bool = True, timeout: float = 60, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a program in the thread's namespace and returns its result, with output as text."""
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=patient(timeout), check=False)
    if check and done.returncode != 0:
        raise CommandError(f"{' '.join(argv)}: exit {done.returncode}\n{stdin or ''}{done.stdout}{done.stderr}")
    return done


class Namespace:
    """One network namespace, removed together with the processes that were started in it."""

    def __init__(self, role: str) -> None:
        if os.geteuid() != 0:
            raise PermissionError("the lab makes network namespaces: run it as root")
        self.role = role
        self.name = f"rl{os.getpid()}n{next(_count)}-{role}"
        self._children: list[subprocess.Popen[bytes]] = []
        _sweep_once()
        run("ip", "netns", "add", self.name)
        _live[self.name] = self
        self.ip("link set lo up")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the processes started here, then removes the namespace with all its devices."""
        if _live.pop(self.name, None) is None:
            return
        for child in reversed(self._children):
            end(child)
        run("ip", "netns", "delete", self.name, check=False)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Moves the calling thread into the namespace for the length of a `with` block."""
        with open("/proc/thread-self/ns/net") as outer, open(_RUN / self.name) as inner:
            _setns(inner.fileno())
            try:
                yield
            finally:
                _setns(outer.fileno())

    def run(
        self, *argv: str, check: bool = True, timeout: float = 60, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program here to its end."""
        with self.entered():
            return run(*argv, check=check, timeout=timeout, stdin=stdin)

    def start(
        self, argv: Sequence[str], *, output: IO[bytes] | int = subprocess.DEVNULL, own_sysfs: bool = False
    ) -> subprocess.Popen[bytes]:
        """Starts a program here; it dies with this process, and at the latest with the namespace.

        `own_sysfs` starts it the way an administrator does (`ip netns exec`), with the namespace's own /sys.
        """
        prefix = ["ip", "netns", "exec", self.name] if own_sysfs else []
        with self.entered():
            child = subprocess.Popen(
                [*prefix, "setpriv", "--pdeathsig", "KILL", *argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT if output != subprocess.PIPE else subprocess.DEVNULL,
            )
        self._children.append(child)
        return child

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A socket of this namespace, usable from any thread."""
        with self.entered():
            return socket.socket(family, kind, protocol)

    def ip(self, script: str) -> None:
        """Runs lines of `ip` commands as one batch."""
        lines = "\n".join(line.strip() for line in script.splitlines() if line.strip())
        run("ip", "-n", self.name, "-batch", "-", stdin=lines + "\n")

    def nft(self, script: str) -> None:
        """Loads an nftables script."""
        self.run("nft", "-f", "-", stdin=script)

    def sysctl(self, name: str, value: int) -> None:
        """Writes a setting under /proc/sys/net, named with slashes."""
        with self.entered():
            Path("/proc/sys/net", name).write_text(str(value))

    def has_sysctl(self, name: str) -> bool:
        """Whether this kernel has a setting under /proc/sys/net."""
        with self.entered():
            return Path("/proc/sys/net", name).exists()


class Machine(Namespace):
    """The namespace that the machine itself is in, for what cannot be tested in another one. Only for a machine that is
    thrown away afterwards: whatever the lab sets stays, except for devices whose other end is in a namespace."""

    def __init__(self) -> None:
        self.role = "machine"
        self.name = "1"  # to `ip`, that of the first process
        self._children = []

    def close(self) -> None:
        """Ends the processes started here."""
        for child in reversed(self._children):
            end(child)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """All threads are here when they are nowhere else."""
        yield

    def ip(self, script: str) -> None:
        """Runs lines of `ip` commands as one batch."""
        lines = "\n".join(line.strip() for line in script.splitlines() if line.strip())
        run("ip", "-batch", "-", stdin=lines + "\n")


def end(child: subprocess.Popen[bytes], patience: float = 3) -> int:
    """Ends a process that we started, politely first."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(patient(patience))
        except subprocess.TimeoutExpired:
            child.kill()
    return child.wait()


def link(left: tuple[Namespace, str], right: tuple[Namespace, str], mtu: int = 1500) -> None:
    """A cable between two namespaces, both ends up."""
    (a, a_device), (b, b_device) = left, right
    a.ip(f"link add {a_device} mtu {mtu} type veth peer name {b_device} mtu {mtu} netns {b.name}")
    a.ip(f"link set {a_device} up")
    b.ip(f"link set {b_device} up")


def close_all() -> None:
    """Removes every namespace of this process, newest first."""
    for namespace in reversed(list(_live.values())):
        namespace.close()


def exit_on_sigterm() -> None:
    """Makes SIGTERM work like Ctrl-C, so that `finally` blocks and exit handlers run, in pytest too."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def scratch_folder() -> Path:
    """A new folder for files of this process."""
    return Path(tempfile.mkdtemp(prefix=f"{_SCRATCH}{os.getpid()}-"))


_swept = False


def _sweep_once() -> None:
    """Removes namespaces and scratch folders of runs whose process is gone."""
    global _swept
    if _swept:
        return
    _swept = True
    for path in _RUN.glob("rl*"):
        match = _NAME.fullmatch(path.name)
        if match and not Path("/proc", match[1]).exists():
            run("ip", "netns", "delete", path.name, check=False)
    for path in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*-*"):
        owner = path.name.removeprefix(_SCRATCH).partition("-")[0]
        if owner.isdecimal() and not Path("/proc", owner).exists():
            shutil.rmtree(path, ignore_errors=True)
    for tool in ("ip", "nft", "ethtool", "ping", "setpriv"):
        if shutil.which(tool) is None:
            raise FileNotFoundError(f"the lab needs `{tool}`: run `make install-deps`")


atexit.register(close_all)
