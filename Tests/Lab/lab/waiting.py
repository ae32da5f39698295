# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for a condition, with a limit, instead of sleeping for a guess.

Where everything takes longer, as in an emulator, $LAB_SLOWNESS is a factor on the limits that only say when to give up
and on the time that something unwanted gets to arrive. What routerd promises is not multiplied.
"""

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_SLOWNESS = float(os.environ.get("LAB_SLOWNESS") or 1)


def patient(seconds: float) -> float:
    """A limit that stands for patience, adapted to how slow this machine is."""
    return seconds * _SLOWNESS


def wait_for(
    what: str,
    probe: Callable[[], T | None],
    timeout: float = 10,
    interval: float = 0.02,
    *,
    promised: bool = False,
) -> T:
    """Calls `probe` until it returns something true, and returns that; `promised` limits hold on slow machines too."""
    timeout = timeout if promised else patient(timeout)
    deadline = time.monotonic() + timeout
    while True:
        if result := probe():
            return result
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:g} s for {what}")
        time.sleep(interval)
