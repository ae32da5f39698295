# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever may connect to the control socket cannot hold up the daemon.

    lan ---- ce ==== isp ---- inet        SERVER
"""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from lab import clients
from lab.daemon import Routerd
from lab.isps import BIGLOBE
from lab.line import SERVER, Line
from lab.waiting import wait_for


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Line, Routerd]]:
    with Line(BIGLOBE) as line, Routerd(line.ce) as routerd:
        routerd.start_up()
        yield line, routerd
        line.assert_clean()


def connect(routerd: Routerd) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(20)
    client.connect(str(routerd.directory / "control"))
    return client


@pytest.mark.parametrize(
    "request_bytes",
    [b"\0", b'{"x":1}\0', b"\xff" * 100 + b"\0", b"[" * 60000 + b"\0", b'"reload"x\0'],
    ids=["empty", "unknown", "no text", "deep", "trailing"],
)
def test_nonsense_is_answered_with_an_error(running: tuple[Line, Routerd], request_bytes: bytes) -> None:
    _, routerd = running
    with connect(routerd) as client:
        client.sendall(request_bytes)
        assert b"error" in client.recv(4096)
    assert routerd.status()["state"] == "up"


def test_an_endless_request_is_cut_off(running: tuple[Line, Routerd]) -> None:
    _, routerd = running
    before = routerd.memory()["VmRSS"]
    with connect(routerd) as client, pytest.raises(OSError):
        for _ in range(1600):
            client.sendall(b"a" * 65536)
    assert routerd.memory()["VmRSS"] < before + 4096


def test_silent_clients_do_not_hold_up_routing(running: tuple[Line, Routerd]) -> None:
    line, routerd = running
    descriptors = Path(f"/proc/{routerd.pid}/fd")
    before = len(list(descriptors.iterdir()))
    with ExitStack() as stack:
        for _ in range(100):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            with suppress(BlockingIOError):
                client.connect(str(routerd.directory / "control"))
        begun = time.monotonic()
        line.ce.ip("route del default dev softwire0")
        wait_for("the route", lambda: "default dev softwire0" in line.ce.run("ip", "route").stdout)
        assert time.monotonic() - begun < 1
        assert routerd.status()["state"] == "up"  # once the first of them are let go
    clients.ping(line.lan, SERVER)
    wait_for("all descriptors to be closed", lambda: len(list(descriptors.iterdir())) <= before + 2)


def test_a_dribbling_client_is_let_go(running: tuple[Line, Routerd]) -> None:
    _, routerd = running
    begun = time.monotonic()
    with connect(routerd) as client, suppress(OSError):
        while time.monotonic() - begun < 12:
            client.send(b"a")
            time.sleep(0.2)
    assert time.monotonic() - begun < 8
