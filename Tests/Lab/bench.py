#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Throughput of plain routing, SNAT alone and routerd's dataplane in one run, and routerd's memory and start time, and
how long it takes to count the ports in use among many connections.

    lan ---- ce ==== isp (border relay) ---- inet (iperf3)

Both ends of the WAN cable send without segmentation offload and with finished checksums, as a real card at the end of
a wire sees them: packets of at most 1500 bytes. The border relay is the kernel's segment-routing code, which turns out
plain IPv4-in-IPv6 with a single segment, so that it is no bottleneck; where it is missing, the judging relay takes its
place and limits the result. All rates are medians; ratios are to plain routing in the same run.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from lab import netns
from lab.clients import ping
from lab.daemon import Routerd
from lab.isps import BIGLOBE
from lab.line import SERVER, Line, switch_features
from lab.netns import CommandError, end
from lab.waiting import wait_for

CE_IPV4, ISP_IPV4 = "198.18.3.2", "198.18.3.1"

TESTS = {
    "TCP 1 up": ("-P", "1"),
    "TCP 8 up": ("-P", "8"),
    "TCP 1 down": ("-P", "1", "-R"),
    "TCP 8 down": ("-P", "8", "-R"),
    "UDP 1400 up": ("-u", "-b", "0", "-l", "1400"),
}


def wire(line: Line) -> None:
    """Makes the WAN cable behave like a wire between two network cards."""
    for namespace, device in ((line.ce, "wan0"), (line.isp, "down0")):
        switch_features(namespace, device, tx=False, tso=False, gso=False, gro=True)
        threaded = f"echo 1 > /sys/class/net/{device}/threaded"
        netns.run("ip", "netns", "exec", namespace.name, "sh", "-c", threaded)
    line.isp.ip(f"addr add {ISP_IPV4}/30 dev down0")


@contextmanager
def plain(line: Line) -> Iterator[str]:
    """IPv4 routed over the WAN cable, LAN addresses visible outside."""
    line.isp.ip(f"route add 192.168.1.0/24 via {CE_IPV4}")
    line.ce.ip(f"addr add {CE_IPV4}/30 dev wan0\nroute add default via {ISP_IPV4}")
    try:
        yield "plain routed"
    finally:
        line.ce.ip(f"route del default via {ISP_IPV4}\naddr del {CE_IPV4}/30 dev wan0")
        line.isp.ip("route del 192.168.1.0/24")


@contextmanager
def snat(line: Line) -> Iterator[str]:
    """The same with source NAT by one rule, and no tunnel."""
    with plain(line):
        line.isp.ip("route del 192.168.1.0/24")
        line.ce.nft(
            f"""table ip bench {{
                chain postrouting {{
                    type nat hook postrouting priority srcnat
                    oifname wan0 snat to {CE_IPV4}
                }}
            }}"""
        )
        try:
            yield "SNAT only"
        finally:
            line.ce.nft("delete table ip bench")
            line.isp.ip(f"route add 192.168.1.0/24 via {CE_IPV4}")


@contextmanager
def tunnel(line: Line, routerd: Routerd) -> Iterator[str]:
    """routerd with its dataplane."""
    routerd.start_up()
    try:
        ping(line.lan, SERVER)
        yield f"routerd ({routerd.status()['dataplane']})"
    finally:
        routerd.stop()
        routerd.cli("teardown")


def kernel_relay(line: Line) -> None:
    """A border relay in the kernel: one segment and no routing header is plain IPv4-in-IPv6."""
    line.isp.run("ip", "sr", "tunsrc", "set", BIGLOBE.relay)
    line.isp.ip(
        f"""route add {BIGLOBE.ipv4}/32 encap seg6 mode encap.red segs {BIGLOBE.ce_address} dev down0
            route add {BIGLOBE.relay}/128 encap seg6local action End.DX4 nh4 198.18.0.2 dev up0"""
    )


@contextmanager
def line_with_relay() -> Iterator[tuple[Line, str]]:
    """The line with the fastest border relay that this kernel allows."""
    with ExitStack() as stack:
        line = stack.enter_context(Line(BIGLOBE, judged=False))
        wire(line)
        try:
            kernel_relay(line)
            relay = "the kernel (seg6)"
        except CommandError:
            stack.close()
            line = stack.enter_context(Line(BIGLOBE))
            wire(line)
            relay = "labbr, in user space: it may be what limits the tunnel"
        yield line, relay


def rate(line: Line, options: tuple[str, ...], seconds: int) -> float:
    """Mbit/s that arrived, by iperf3 with a fresh server: an old one sometimes stays behind in a failed test."""
    server = line.inet.start(["iperf3", "-s", "-1", "-B", SERVER])
    wait_for("iperf3", lambda: ":5201" in line.inet.run("ss", "-ltn").stdout)
    argv = ["iperf3", "-c", SERVER, "-J", "-t", str(seconds), *options]
    answer = json.loads(line.lan.run(*argv, check=False, timeout=seconds + 30).stdout)
    end(server)
    if "error" in answer:
        raise CommandError(f"{' '.join(argv)}: {answer['error']}")
    if "-u" in options:
        datagrams = answer["end"]["sum"]
        return datagrams["bits_per_second"] * (1 - datagrams["lost_percent"] / 100) / 1e6
    return answer["end"]["sum_received"]["bits_per_second"] / 1e6


def measure(line: Line, seconds: int, runs: int) -> dict[str, float]:
    return {
        name: statistics.median(rate(line, options, seconds) for _ in range(runs)) for name, options in TESTS.items()
    }


def print_row(head: str, cells: list[str]) -> None:
    print(f"{head:<22}" + "".join(f"{cell:>14}" for cell in cells), flush=True)


def print_start_times(routerd: Routerd, count: int = 3) -> None:
    """How long a start takes, each time from nothing; duplicate address detection lies between ready and up."""
    ready, up = [], []
    for _ in range(count):
        routerd.start_up()
        ready.append(routerd.start_seconds)
        up.append(routerd.up_seconds)
        routerd.stop()
        routerd.cli("teardown")
    print(f"start to ready: {statistics.median(ready):.2f} s, to working IPv4: {statistics.median(up):.2f} s")


def print_port_usage(line: Line, routerd: Routerd, connections: int = 100_000, count: int = 5) -> None:
    """How long `routerd ports` takes from start to end, the command line included."""
    routerd.start_up()
    entries = "".join(
        f"-A -p udp -s 192.168.1.{10 + number % 200} --sport {1024 + number % 60000} "
        f"-d 198.{18 + (number >> 16)}.{number >> 8 & 255}.{number & 255} --dport 443 "
        f"-r 198.{18 + (number >> 16)}.{number >> 8 & 255}.{number & 255} --reply-port-src 443 "
        f"-q {BIGLOBE.ipv4} --reply-port-dst {BIGLOBE.private_ports[number % BIGLOBE.port_count]} "
        "-t 600 -u ASSURED,SEEN_REPLY\n"
        for number in range(connections)
    )
    line.ce.run("conntrack", "-R", "-", stdin=entries)
    times, work = [], []
    for _ in range(count):
        begun, used = time.monotonic(), routerd.cpu_seconds()
        report = json.loads(routerd.cli("ports", "--json").stdout)
        times.append(time.monotonic() - begun)
        work.append(routerd.cpu_seconds() - used)
        assert report["protocols"]["udp"]["connections"] >= connections
    print(
        f"ports in use among {connections} connections: {statistics.median(times):.2f} s, "
        f"of which the daemon works {statistics.median(work):.2f} s"
    )
    line.ce.run("conntrack", "-F")
    routerd.stop()
    routerd.cli("teardown")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=3, help="length of each measurement")
    parser.add_argument("--runs", type=int, default=1, help="measurements per cell, of which the median counts")
    options = parser.parse_args()
    netns.exit_on_sigterm()
    with line_with_relay() as (line, relay), Routerd(line.ce) as routerd:
        print(f"border relay: {relay}; {options.runs} x {options.seconds} s per cell; Mbit/s and ratio to plain\n")
        print_row("", list(TESTS))
        baseline: dict[str, float] = {}
        memory: dict[str, int] = {}
        for mode in (plain(line), snat(line), tunnel(line, routerd)):
            with mode as name:
                rates = measure(line, options.seconds, options.runs)
                baseline = baseline or rates
                print_row(name, [f"{mbits:.0f} ({mbits / baseline[test]:.2f})" for test, mbits in rates.items()])
                if name.startswith("routerd"):
                    memory = routerd.memory()
        print(f"\nmemory after the run: VmRSS {memory['VmRSS'] / 1024:.1f} MiB, PSS {memory['PSS'] / 1024:.1f} MiB")
        print_start_times(routerd)
        print_port_usage(line, routerd)
    return 0


if __name__ == "__main__":
    sys.exit(main())
