# SPDX-License-Identifier: GPL-3.0-or-later
"""The AFTR: any inner source goes up and is remembered, what comes down goes to the B4 it was last seen behind."""

import pytest
from scapy.layers.inet import IP

from judge_line import B4, RELAYS, SPARE, Wire

SERVER, CLIENT = "198.51.100.2", "192.168.1.10"
WORDS = ("--inner-src", CLIENT, "--inner-dst", SERVER, "--sport", 40000, "--dport", 80)
UP = ("--outer-src", B4[0], "--outer-dst", RELAYS[0], *WORDS)
DOWN = ("--inner-src", SERVER, "--inner-dst", CLIENT, "--sport", 80, "--dport", 40000)


@pytest.fixture
def aftr(start):
    return start("--mode", "aftr", "--relay", RELAYS[0], tun="aftr0", routes=("192.168.0.0/16",))


@pytest.fixture
def internet(line, aftr):
    wire = Wire(line.isp, "aftr0")
    try:
        yield wire
    finally:
        wire.close()


@pytest.mark.parametrize("kind", ["udp", "tcp", "icmp-echo", "icmp-unreach", "gre"])
def test_there_and_back(line, aftr, internet, tunnel, kind):
    line.plant(*UP, "--proto", kind)
    (data,) = internet.take(1)
    assert (IP(data).src, IP(data).dst) == (CLIENT, SERVER)
    line.plant_down(*DOWN, "--proto", kind)
    # The server's own kernel may have answered the planted packet first; that answer goes the same way.
    for source, destination, _, _, _ in tunnel.take(1):
        assert (source, destination) == (RELAYS[0], B4[0])
    stats = aftr.stats(downlink_sent=1)
    assert stats["mode"] == "aftr" and stats["violations_total"] == 0
    assert stats["info"]["no-ce"] == stats["info"]["b4-clash"] == 0
    assert stats["subscribers"] == [{"inner": CLIENT, "outer": B4[0]}]


def test_fragments_both_ways(line, aftr, internet, tunnel):
    words = ("--proto", "udp", "--payload", 100, "--fragment", 64)
    line.plant(*UP, *words)
    assert len(internet.take(2)) == 2
    line.plant_down(*DOWN, *words, "--reverse", "--identification", 99)
    ours = [piece for piece in tunnel.take(3, 0.5) if IP(piece[4]).id == 99]
    assert [piece[1] for piece in ours] == [B4[0]] * 2
    stats = aftr.stats(uplink_packets=2)
    assert stats["violations_total"] == 0 and stats["info"]["reassembled"] == 1


def test_nobody_is_known_yet(line, aftr, tunnel):
    line.plant_down(*DOWN, "--proto", "udp")
    assert aftr.stats(downlink_packets=1)["info"]["no-ce"] == 1
    tunnel.nothing()


def test_two_b4s_with_one_inner_address(line, aftr, tunnel):
    line.plant(*UP, "--proto", "icmp-unreach")
    line.plant("--outer-src", B4[1], "--outer-dst", RELAYS[0], *WORDS, "--proto", "icmp-unreach")
    stats = aftr.stats(uplink_packets=2, b4_clash=1)
    assert stats["info"]["b4-clash"] == 1 and stats["violations_total"] == 0
    line.plant_down(*DOWN, "--proto", "icmp-unreach")
    assert tunnel.take(1)[0][1] == B4[1]


WRONG = {
    "outer-dest": ("--outer-src", B4[0], "--outer-dst", SPARE, *WORDS, "--proto", "udp"),
    "ip-checksum": (*UP, "--proto", "udp", "--bad-checksum", "ip"),
    "udp-checksum": (*UP, "--proto", "udp", "--bad-checksum", "l4"),
    "tcp-checksum": (*UP, "--proto", "tcp", "--bad-checksum", "l4"),
    "icmp-checksum": (*UP, "--proto", "icmp-echo", "--bad-checksum", "l4"),
    "truncated": (*UP, "--proto", "udp", "--truncate", 1),
    "hop-limit": (*UP, "--proto", "udp", "--hop-limit", 2),
}


@pytest.mark.parametrize("kind", WRONG)
def test_fault_is_counted_and_stopped(line, aftr, internet, kind):
    line.plant(*WRONG[kind])
    stats = aftr.stats(uplink_packets=1)
    assert {name: count for name, count in stats["violations"].items() if count} == {kind: 1}
    internet.nothing()
