# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the judge once, makes the namespaces once, and a fresh judge for each test."""

import subprocess

import pytest

import judge_line
from judge_line import B4, CE, NEIGHBOUR, ONE_TO_ONE, ONE_TO_ONE_CE, RELAYS, RULE, SPARE


@pytest.fixture(scope="session")
def binaries():
    subprocess.run(["make", "-C", str(judge_line.HERE)], check=True, capture_output=True, timeout=300)
    return judge_line.LABBR


@pytest.fixture(scope="session")
def line(binaries):
    made = judge_line.Lines(
        RELAYS, SPARE, (CE, NEIGHBOUR, ONE_TO_ONE_CE, *B4), ("2404:7a82:4c00::/38", "2001:db8:ab::/48")
    )
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def start(line, tmp_path):
    """Starts judges with options of the test's own; ends them."""
    running = []

    def begin(*options, namespace=line.isp, **more):
        running.append(judge_line.Judge(namespace, tmp_path, *options, **more))
        return running[-1]

    try:
        yield begin
    finally:
        for judge in running:
            judge.stop()


@pytest.fixture
def map_e(start):
    """Starts the MAP-E judge of the test line, with further options."""

    def begin(*options):
        relays = [word for relay in RELAYS for word in ("--relay", relay)]
        return start(
            "--mode", "map-e", *relays, "--rule", RULE, "--rule", ONE_TO_ONE, *options,
            routes=("133.209.12.0/22", "192.0.2.1/32"),
        )

    return begin


@pytest.fixture
def judge(map_e):
    return map_e()


@pytest.fixture
def internet(line, judge):
    """What leaves the judge towards the Internet."""
    wire = judge_line.Wire(line.isp, "br0")
    try:
        yield wire
    finally:
        wire.close()


@pytest.fixture
def tunnel(line):
    end = judge_line.TunnelEnd(line.ce)
    try:
        yield end
    finally:
        end.close()
