#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Throughput of plain routing, SNAT alone, the kernel's tunnel (if there is one) without and with one SNAT rule, and
routerd's dataplane in one run; and routerd's memory and start time, and how long it takes to count the ports in use
among many connections.

    lan ---- ce ==== isp (border relay) ---- inet (iperf3)

Both ends of the WAN cable send without segmentation offload and with finished checksums, as a real card at the end of
a wire sees them: packets of at most 1500 bytes. The border relay is the kernel's segment-routing code, which turns out
plain IPv4-in-IPv6 with a single segment, so that it is no bottleneck; where it is missing, the judging relay takes its
place and limits the result.

The modes take turns, round after round, and ratios are between measurements of one round, so that a machine that gets
slower or faster meanwhile does not tell. All numbers are medians over the rounds.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from lab import netns
from lab.clients import ping
from lab.daemon import DATAPLANE, Routerd
from lab.isps import BIGLOBE
from lab.judge import TUNNEL_MTU
from lab.line import ROUTER, SERVER, Line, switch_features
from lab.netns import CommandError, end
from lab.waiting import wait_for

CE_IPV4, ISP_IPV4 = "198.18.3.2", "198.18.3.1"
LAN = "192.168.1.0/24"
TUNNEL = "bench0"
TUNNEL_AND_SNAT = "ip6tnl and one SNAT rule"

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
def plain(line: Line) -> Iterator[None]:
    """IPv4 routed over the WAN cable, LAN addresses visible outside."""
    line.isp.ip(f"route add {LAN} via {CE_IPV4}")
    line.ce.ip(f"addr add {CE_IPV4}/30 dev wan0\nroute add default via {ISP_IPV4}")
    try:
        yield
    finally:
        line.ce.ip(f"route del default via {ISP_IPV4}\naddr del {CE_IPV4}/30 dev wan0")
        line.isp.ip(f"route del {LAN}")


@contextmanager
def one_rule(line: Line, device: str, address: str) -> Iterator[None]:
    """The one rule that source NAT takes at least."""
    line.ce.nft(
        f"""table ip bench {{
            chain postrouting {{
                type nat hook postrouting priority srcnat
                oifname {device} snat to {address}
            }}
        }}"""
    )
    try:
        yield
    finally:
        line.ce.nft("delete table ip bench")


@contextmanager
def snat(line: Line) -> Iterator[None]:
    """Plain routing with source NAT by one rule, and no tunnel."""
    with plain(line), one_rule(line, "wan0", CE_IPV4):
        yield


@contextmanager
def tunnel(line: Line) -> Iterator[None]:
    """The kernel's tunnel as routerd's dataplane makes it, without NAT; hosts that know what fits through it."""
    ends = f"local {BIGLOBE.ce_address} remote {BIGLOBE.relay}"
    line.isp.ip(f"route add {LAN} encap seg6 mode encap.red segs {BIGLOBE.ce_address} dev down0")
    line.ce.ip(
        f"""addr add {BIGLOBE.ce_address}/128 dev wan0 nodad
            link add {TUNNEL} mtu {TUNNEL_MTU} type ip6tnl mode ipip6 {ends} encaplimit none hoplimit 64
            link set {TUNNEL} up
            route add default dev {TUNNEL}"""
    )
    line.lan.ip(f"route change default via {ROUTER} mtu lock {TUNNEL_MTU}")
    try:
        yield
    finally:
        line.lan.ip(f"route change default via {ROUTER}")
        line.ce.ip(f"link del {TUNNEL}\naddr del {BIGLOBE.ce_address}/128 dev wan0")
        line.isp.ip(f"route del {LAN}")


@contextmanager
def tunnel_and_snat(line: Line) -> Iterator[None]:
    """The same with source NAT to the line's address by one rule, whatever the port."""
    with tunnel(line), one_rule(line, TUNNEL, BIGLOBE.ipv4):
        yield


@contextmanager
def with_routerd(routerd: Routerd, memory: dict[str, int]) -> Iterator[None]:
    """routerd with its dataplane and its NAT; what memory it has in the end."""
    routerd.start_up()
    try:
        yield
        memory.update(routerd.memory())
    finally:
        routerd.stop()
        routerd.cli("teardown")


def has_tunnels(line: Line) -> bool:
    """Whether the kernel has ip6_tunnel, and its relay can be told what to send into one."""
    if line.judges:
        return False
    made = line.ce.run("ip", "link", "add", TUNNEL, "type", "ip6tnl", "mode", "ipip6", "local", "::1", check=False)
    if made.returncode == 0:
        line.ce.ip(f"link del {TUNNEL}")
    return made.returncode == 0


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


Rates = dict[str, float]
"""By test, of one mode in one round."""


Modes = dict[str, Callable[[], AbstractContextManager[None]]]


def measure(modes: Modes, line: Line, wanted: argparse.Namespace) -> dict[str, list[Rates]]:
    """The rates of each mode, round by round."""
    rounds: dict[str, list[Rates]] = {name: [] for name in modes}
    for _ in range(wanted.rounds):
        for name, mode in modes.items():
            with mode():
                ping(line.lan, SERVER)
                rounds[name].append({test: rate(line, TESTS[test], wanted.seconds) for test in wanted.tests})
    return rounds


def ratios(rounds: dict[str, list[Rates]], mode: str, base: str) -> Rates:
    """How a mode does beside another in the same round, by test."""
    pairs = list(zip(rounds[mode], rounds[base]))
    return {test: statistics.median(own[test] / other[test] for own, other in pairs) for test in rounds[mode][0]}


def print_row(head: str, cells: list[str]) -> None:
    print(f"{head:<24}" + "".join(f"{cell:>14}" for cell in cells), flush=True)


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


def print_rates(rounds: dict[str, list[Rates]], tests: list[str]) -> None:
    """A row for each mode."""
    first = next(iter(rounds))
    print()
    print_row("", tests)
    for name, measured in rounds.items():
        beside = ratios(rounds, name, first)
        medians = {test: statistics.median(each[test] for each in measured) for test in tests}
        print_row(name, [f"{medians[test]:.0f} ({beside[test]:.2f})" for test in tests])


def print_price_of_nat(rounds: dict[str, list[Rates]], routerd: str, least: float | None) -> bool:
    """What of one SNAT rule's throughput is left with routerd's NAT; false if that is too little."""
    beside = ratios(rounds, routerd, TUNNEL_AND_SNAT)
    mean = statistics.geometric_mean(beside.values())
    each = ", ".join(f"{test} {ratio:.3f}" for test, ratio in beside.items())
    print(f"\n{routerd} beside {TUNNEL_AND_SNAT}: {mean:.3f} ({each})")
    if least is None or mean >= least:
        return True
    print(f"that is less than {least:g}", file=sys.stderr)
    return False


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=3, help="length of each measurement")
    parser.add_argument("--rounds", type=int, default=1, help="measurements per cell, of which the median counts")
    parser.add_argument("--tests", nargs="+", choices=TESTS, default=list(TESTS), metavar="TEST", help=", ".join(TESTS))
    parser.add_argument("--least", type=float, help="fail if routerd has less of what tunnel and one SNAT rule have")
    parser.add_argument("--throughput-only", action="store_true", help="leave out memory, start time and port usage")
    return parser.parse_args()


def main() -> int:
    wanted = options()
    netns.exit_on_sigterm()
    is_enough = True
    with line_with_relay() as (line, relay), Routerd(line.ce) as routerd:
        print(f"border relay: {relay}; {wanted.rounds} x {wanted.seconds} s per cell; Mbit/s and ratio to plain")
        own = f"routerd ({DATAPLANE})"
        memory: dict[str, int] = {}
        modes: Modes = {
            "plain routed": lambda: plain(line),
            "SNAT only": lambda: snat(line),
            own: lambda: with_routerd(routerd, memory),
        }
        if has_tunnels(line):
            ours = modes.pop(own)
            modes |= {"ip6tnl": lambda: tunnel(line), TUNNEL_AND_SNAT: lambda: tunnel_and_snat(line), own: ours}
        rounds = measure(modes, line, wanted)
        print_rates(rounds, wanted.tests)
        if TUNNEL_AND_SNAT in modes:
            is_enough = print_price_of_nat(rounds, own, wanted.least)
        if not wanted.throughput_only:
            print(f"\nmemory after the run: VmRSS {memory['VmRSS'] / 1024:.1f} MiB, PSS {memory['PSS'] / 1024:.1f} MiB")
            print_start_times(routerd)
            print_port_usage(line, routerd)
    return 0 if is_enough else 1


if __name__ == "__main__":
    sys.exit(main())
