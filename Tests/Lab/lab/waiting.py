# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for a condition, with a limit, instead of sleeping for a guess."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(what: str, probe: Callable[[], T | None], timeout: float = 10, interval: float = 0.02) -> T:
    """Calls `probe` until it returns something true, and returns that."""
    deadline = time.monotonic() + timeout
    while True:
        if result := probe():
            return result
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:g} s for {what}")
        time.sleep(interval)
