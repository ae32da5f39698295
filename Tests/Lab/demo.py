#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""routerd at work on the simulated line of two ISPs, told step by step. Ends with 0 only if every step held.

    lan ---- ce (routerd) ==== isp (border relays of BIGLOBE and NURO) ---- inet (web servers)
"""

import sys
import textwrap
import time

from lab import clients, netns
from lab.daemon import Routerd
from lab.isps import BIGLOBE, NURO, Subscriber
from lab.line import HOST, SECOND_SERVER, SERVER, Line
from lab.servers import HOLD
from lab.snapshot import difference, settled

PARALLEL = 300
_started = time.monotonic()


def say(text: str) -> None:
    print(f"\n\033[1m[{time.monotonic() - _started:5.1f} s] {text}\033[0m" if sys.stdout.isatty() else f"\n== {text}", flush=True)


def show(text: str) -> None:
    print(textwrap.indent(text.rstrip(), "    "), flush=True)


def line_up(line: Line) -> None:
    say("The line is up. Between the router and the ISP there is IPv6 only:")
    show((__doc__ or "").splitlines()[2])
    show(line.ce.run("ip", "-6", "-br", "addr", "show", "dev", "wan0").stdout)
    show(f"A computer of the LAN ({HOST}) cannot reach {SERVER} now:")
    silent = line.lan.run("ping", "-n", "-c", "1", "-W", "1", SERVER, check=False)
    assert silent.returncode != 0, "there is IPv4 already, without routerd"
    show(silent.stdout.splitlines()[-1] or "no answer")


def calculate(routerd: Routerd) -> None:
    say(f"What does MAP-E give to the prefix {BIGLOBE.prefix}?  routerd calc")
    show(routerd.cli("calc", BIGLOBE.prefix).stdout)


def start(routerd: Routerd) -> None:
    say("The daemon starts:  routerd run")
    routerd.start_up()
    show(f"ready after {routerd.start_seconds:.2f} s; routerd status says:")
    show(routerd.cli("status").stdout)


def use(line: Line, subscriber: Subscriber) -> None:
    say(f"IPv4 by way of {subscriber.profile}: ping and web from the LAN")
    show(line.lan.run("ping", "-n", "-c", "3", "-i", "0.2", SERVER).stdout)
    size = 4_000_000
    seconds = clients.fetch(line.lan, SERVER, size)
    show(f"http://{SERVER}/bytes/{size}: {size} bytes in {seconds:.2f} s, SHA-256 as it should be")


def fill_the_ports(line: Line, subscriber: Subscriber) -> None:
    say(f"{PARALLEL} TCP connections at once, to two servers: a set of {subscriber.port_count} ports serves each server anew")
    line.servers.forget()
    targets = [((SERVER, SECOND_SERVER)[number % 2], HOLD) for number in range(PARALLEL)]
    with clients.hold(line.lan, targets) as opened:
        assert opened.failed == [], f"failed: {opened.failed}"
        opened.assert_alive()
    callers = line.servers.callers
    ports = {port for _, port in callers}
    assert len(callers) == PARALLEL
    assert {address for address, _ in callers} == {subscriber.ipv4}, "another address was used"
    assert ports <= subscriber.ports, f"outside the set: {sorted(ports - subscriber.ports)}"
    show(f"all {PARALLEL} open and alive, from {subscriber.ipv4}, {len(ports)} different ports, each inside the set")


def judge(line: Line, subscriber: Subscriber) -> None:
    verdict = line.judges[subscriber.profile].verdict()
    line.judges[subscriber.profile].assert_clean()
    show(f"the border relay checked {verdict.info['uplink-packets']} packets by RFC 7597: {verdict.total} violations")


def switch(line: Line, routerd: Routerd) -> None:
    say("The ISP changes to NURO while a ping runs:  routerd profile set nuro")
    with clients.Pinger(line.lan, SERVER) as pinger:
        time.sleep(0.5)
        show(routerd.cli("profile", "set", "nuro").stdout or "done")
        routerd.wait_up("nuro")
        time.sleep(1)
        pinger.stop()
    silence = pinger.longest_silence
    show(f"longest silence between two answers: {silence * 1000:.0f} ms")
    assert silence < 1, "the switch took a second or more"
    show(routerd.cli("status").stdout)


def tear_down(line: Line, routerd: Routerd, before: dict[str, object]) -> None:
    say("The end:  routerd teardown")
    routerd.stop()
    show(routerd.cli("teardown").stdout or "done")
    after = settled(line.ce)
    assert after == before, f"this is left or missing:\n{difference(before, after)}"
    show("links, addresses, routes, rules and settings are what they were before the daemon's start")


def main() -> int:
    netns.exit_on_sigterm()
    config = {"profile": "biglobe"}
    try:
        with Line((BIGLOBE, NURO)) as line, Routerd(line.ce, config) as routerd:
            before = settled(line.ce)
            line_up(line)
            calculate(routerd)
            start(routerd)
            for subscriber in (BIGLOBE, NURO):
                if subscriber is NURO:
                    switch(line, routerd)
                use(line, subscriber)
                fill_the_ports(line, subscriber)
                judge(line, subscriber)
            tear_down(line, routerd, before)
    except (AssertionError, OSError) as error:
        say("This did not hold:")
        show(str(error))
        return 1
    say(f"Everything held, in {time.monotonic() - _started:.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
