# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared by all suites: clean ends, and a distribution that keeps the tests of one lab in one worker."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from lab import netns
from lab.daemon import Routerd
from lab.isps import MAP_SUBSCRIBERS
from lab.line import Line

PROFILE_LABS = [
    pytest.param((subscriber, offloads), id=f"{subscriber.profile}-{'offloads' if offloads else 'plain'}@")
    for subscriber in MAP_SUBSCRIBERS
    for offloads in (True, False)
]

_LAB_PARAMETER = re.compile(r"\[([\w-]+)@")
"""A lab's parameter in a test's name ends with `@`: `test_ping[biglobe-offloads@]` and its like share one lab."""


def pytest_configure(config: pytest.Config) -> None:
    netns.exit_on_sigterm()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Tests that share a lab run in one worker; different labs run side by side."""
    from xdist.scheduler import LoadScopeScheduling

    class PerLab(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file, _, test = nodeid.partition("::")
            match = _LAB_PARAMETER.search(test)
            return f"{file}[{match[1]}]" if match else file

    return PerLab(config, log)


@pytest.fixture(scope="session", autouse=True)
def no_namespace_left() -> Iterator[None]:
    """Whatever the tests made is gone at the end, also when some failed."""
    yield
    netns.close_all()


@pytest.fixture(scope="module", params=PROFILE_LABS)
def running(request: pytest.FixtureRequest) -> Iterator[tuple[Line, Routerd]]:
    """The line of each MAP-E ISP in turn, with the cables' offloads on and off, and routerd up on it."""
    subscriber, offloads = request.param
    with Line(subscriber, offloads=offloads) as line, Routerd(line.ce) as routerd:
        routerd.start_up()
        yield line, routerd


@pytest.fixture
def line(running: tuple[Line, Routerd]) -> Iterator[Line]:
    """The line of `running`; after the test its judge must have seen no violation."""
    line, _ = running
    line.judge.reset()
    line.servers.forget()
    yield line
    line.assert_clean()
