# SPDX-License-Identifier: GPL-3.0-or-later
"""The way down: which CE gets what comes from the Internet, from which relay address, and what nobody gets."""

import random
import socket

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Raw

from judge_line import CE, NEIGHBOUR, ONE_TO_ONE_CE, RELAYS, inside

ADDR, SERVER = "133.209.13.2", "198.51.100.2"
TO_ADDR = ("--inner-src", SERVER, "--inner-dst", ADDR)
REMOTE = ("--sport", 80)


@pytest.fixture
def server(line):
    """Sends IPv4 packets made here from the Internet."""
    with inside(line.inet):
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    try:
        yield lambda packet: raw.sendto(bytes(packet), (packet.dst, 0))
    finally:
        raw.close()


def checked(data):
    """The inner packet, its checksums confirmed by scapy."""
    packet = IP(data)
    fresh = packet.copy()
    for layer in (IP, TCP, UDP, ICMP):
        # Zero is UDP's way to have none; scapy would put one in.
        if fresh.haslayer(layer) and fresh[layer].chksum != 0:
            del fresh[layer].chksum
    assert bytes(fresh) == data
    return packet


FOUND = {
    "udp": (CE, *REMOTE, "--dport", 5136, "--proto", "udp"),
    "tcp": (CE, *REMOTE, "--dport", 62495, "--proto", "tcp"),
    "udp without a checksum": (CE, *REMOTE, "--dport", 5151, "--proto", "udp", "--zero-checksum"),
    "echo request, by its identifier": (CE, "--sport", 9232, "--dport", 5152, "--proto", "icmp-echo"),
    "echo reply, by its identifier": (CE, "--sport", 5140, "--proto", "icmp-echo-reply"),
    "error about udp, by the embedded source port": (CE, *REMOTE, "--dport", 5136, "--proto", "icmp-unreach"),
    "error about tcp": (CE, *REMOTE, "--dport", 5136, "--proto", "icmp-exceeded", "--embedded-proto", "tcp"),
    "error about an echo, by its identifier": (
        CE, *REMOTE, "--dport", 5136, "--proto", "icmp-too-big", "--next-mtu", 1300, "--embedded-proto", "icmp",
    ),
    "error about a packet with options": (CE, *REMOTE, "--dport", 5136, "--proto", "icmp-unreach", "--options"),
    "the neighbour's port": (NEIGHBOUR, *REMOTE, "--dport", 5152, "--proto", "udp"),
    "a packet with options": (CE, *REMOTE, "--dport", 5136, "--proto", "udp", "--options"),
}


@pytest.mark.parametrize("words", FOUND.values(), ids=FOUND.keys())
def test_packet_finds_its_ce(line, judge, tunnel, words):
    ce, *arguments = words
    line.plant_down(*TO_ADDR, *arguments, "--tos", 0x28)
    ((source, destination, hop_limit, traffic_class, data),) = tunnel.take(1)
    assert (source, destination) == (RELAYS[0], ce)
    assert hop_limit == 64 and traffic_class == 0x28
    packet = checked(data)
    assert (packet.src, packet.dst) == (SERVER, ADDR)
    info = judge.stats(downlink_sent=1)["info"]
    assert info["downlink-packets"] == info["downlink-sent"] == 1
    assert info["downlink-bytes"] == len(data) and info["no-ce"] == info["send-errors"] == 0
    tunnel.nothing()


NOWHERE = {
    "port in block 0": (*TO_ADDR, "--dport", 80, "--proto", "udp"),
    "last port of block 0": (*TO_ADDR, "--dport", 4095, "--proto", "tcp"),
    "identifier in block 0": (*TO_ADDR, "--sport", 1000, "--proto", "icmp-echo"),
    "error about a port in block 0": (*TO_ADDR, "--dport", 1000, "--proto", "icmp-unreach"),
    "gre": (*TO_ADDR, "--proto", "gre"),
}


@pytest.mark.parametrize("words", NOWHERE.values(), ids=NOWHERE.keys())
def test_packet_for_nobody(line, judge, tunnel, words):
    line.plant_down(*words)
    stats = judge.stats(downlink_packets=1)
    assert stats["info"]["no-ce"] == 1 and stats["info"]["downlink-sent"] == 0
    assert stats["violations_total"] == 0
    tunnel.nothing()


def test_gre_to_an_address_of_its_own(line, judge, tunnel):
    line.plant_down("--inner-src", SERVER, "--inner-dst", "192.0.2.1", "--proto", "gre")
    ((_, destination, _, _, data),) = tunnel.take(1)
    assert destination == ONE_TO_ONE_CE and IP(data).proto == socket.IPPROTO_GRE


def test_reply_from_another_relay(line, map_e, tunnel):
    map_e("--reply-from", RELAYS[1])
    line.plant_down(*TO_ADDR, *REMOTE, "--dport", 5136, "--proto", "udp")
    assert tunnel.take(1)[0][0] == RELAYS[1]


def test_reply_from_a_spoofed_address(line, map_e, tunnel):
    map_e("--reply-from", "2001:db8:bad::1")
    line.plant_down(*TO_ADDR, *REMOTE, "--dport", 5136, "--proto", "udp")
    assert tunnel.take(1)[0][0] == "2001:db8:bad::1"


def test_full_packet_goes_in_outer_fragments(judge, server, tunnel):
    packet = IP(src=SERVER, dst=ADDR, id=1, flags="DF") / UDP(sport=53, dport=5136) / random.Random(1).randbytes(1472)
    assert len(packet) == 1500
    server(packet)
    ((_, _, _, _, data),) = tunnel.take(1)
    received = checked(data)
    assert received.flags.DF and received.ttl == packet.ttl - 1
    assert bytes(received.payload) == bytes(packet.payload)


@pytest.mark.parametrize("words", [(), ("--reverse",)], ids=["in order", "reversed"])
def test_fragments_follow_the_first(line, judge, tunnel, words):
    line.plant_down(
        *TO_ADDR, *REMOTE, "--dport", 5136, "--proto", "udp", "--payload", 3001, "--fragment", 1200, *words
    )
    pieces = tunnel.take(3)
    assert [piece[1] for piece in pieces] == [CE] * 3
    assert sorted(IP(piece[4]).frag for piece in pieces) == [0, 150, 300]
    assert judge.stats(downlink_sent=3)["info"]["no-ce"] == 0


def test_fragments_are_not_mixed_up(line, judge, tunnel):
    """The same addresses and different identifications, both CEs at once, later fragments first."""
    words = lambda port, number: (
        *TO_ADDR, *REMOTE, "--dport", port, "--proto", "udp", "--payload", 100, "--fragment", 64,
        "--identification", number,
    )
    for only in (1, 0):
        for port, number in ((5136, 21), (5152, 22)):
            line.plant_down(*words(port, number), "--only", only)
    pieces = tunnel.take(4)
    assert {(piece[1], IP(piece[4]).id) for piece in pieces} == {(CE, 21), (NEIGHBOUR, 22)}
    assert len(pieces) == 4


def test_fragment_without_a_first_is_given_up(line, judge, tunnel):
    words = ("--dport", 5136, "--proto", "udp", "--payload", 100, "--fragment", 64, "--only", 1)
    line.plant_down(*TO_ADDR, *REMOTE, *words)
    stats = judge.stats(fragments_expired=1)
    assert stats["info"]["fragments-expired"] == 1 and stats["info"]["downlink-sent"] == 0


def test_fragments_for_nobody(line, judge, tunnel):
    line.plant_down(
        *TO_ADDR, "--dport", 80, "--proto", "udp", "--payload", 200, "--fragment", 64, "--reverse"
    )
    assert judge.stats(no_ce=4)["info"]["no-ce"] == 4
    tunnel.nothing()


def test_error_with_a_cut_packet_inside(judge, server, tunnel):
    """Eight bytes of the packet are enough, seven are not."""
    inside_packet = bytes(IP(src=ADDR, dst=SERVER) / UDP(sport=5136, dport=53) / b"x")
    server(IP(src=SERVER, dst=ADDR) / ICMP(type=11) / Raw(inside_packet[:28]))
    assert tunnel.take(1)[0][1] == CE
    server(IP(src=SERVER, dst=ADDR) / ICMP(type=11) / Raw(inside_packet[:27]))
    assert judge.stats(downlink_packets=2)["info"]["no-ce"] == 1
    tunnel.nothing()


HAIRPIN = ("--outer-src", CE, "--outer-dst", RELAYS[0], "--inner-src", ADDR, "--inner-dst", ADDR, "--sport", 5136)


@pytest.mark.parametrize("kind", ["udp", "tcp", "icmp-unreach"])
def test_hairpin_to_another_ce(line, judge, tunnel, kind):
    line.plant(*HAIRPIN, "--dport", 5152, "--proto", kind)
    # The CE's namespace is both ends; what was planted is raw and does not come back by itself.
    ((source, destination, _, _, data),) = tunnel.take(1)
    assert (source, destination) == (RELAYS[0], NEIGHBOUR)
    packet = checked(data)
    assert packet.ttl == 63
    stats = judge.stats(uplink_packets=1)
    assert stats["violations_total"] == 0
    assert stats["info"]["hairpin"] == stats["info"]["downlink-sent"] == 1


def test_hairpin_in_fragments(line, judge, tunnel):
    line.plant(*HAIRPIN, "--dport", 5152, "--proto", "udp", "--payload", 100, "--fragment", 64, "--reverse")
    pieces = tunnel.take(2)
    assert [piece[1] for piece in pieces] == [NEIGHBOUR] * 2
    assert judge.stats(uplink_packets=2)["violations_total"] == 0


def test_hairpin_to_nobody(line, judge, tunnel):
    line.plant(*HAIRPIN, "--dport", 80, "--proto", "udp")
    assert judge.stats(uplink_packets=1)["info"]["no-ce"] == 1
    tunnel.nothing()


def test_hairpin_is_judged_too(line, judge, tunnel):
    line.plant(*HAIRPIN, "--dport", 5152, "--proto", "udp", "--bad-checksum", "l4")
    stats = judge.stats(uplink_packets=1)
    assert stats["violations"]["udp-checksum"] == 1 and stats["info"]["hairpin"] == 0
    tunnel.nothing()


def test_ttl_ends_at_the_relay(line, judge, tunnel):
    """The namespace behind the TUN device answers the last hop of a traceroute through the tunnel."""
    line.plant(
        "--outer-src", CE, "--outer-dst", RELAYS[0], "--inner-src", ADDR, "--inner-dst", SERVER, "--sport", 5136,
        "--dport", 33434, "--proto", "udp", "--ttl", 1,
    )
    ((source, destination, _, _, data),) = tunnel.take(1)
    packet = IP(data)
    assert (source, destination) == (RELAYS[0], CE)
    assert (packet[ICMP].type, packet[ICMP].code, packet.dst) == (11, 0, ADDR)
    assert judge.stats(downlink_sent=1)["violations_total"] == 0


def test_other_programs_address_is_left_alone(line, map_e):
    judge = map_e("--ignore", "2001:260:700:1::1:999")
    words = ("--inner-src", ADDR, "--inner-dst", SERVER, "--sport", 5136, "--proto", "udp")
    line.plant("--outer-src", CE, "--outer-dst", "2001:260:700:1::1:999", *words)
    line.plant("--outer-src", CE, "--outer-dst", RELAYS[0], *words)
    stats = judge.stats(uplink_packets=1)
    assert stats["info"]["uplink-packets"] == 1 and stats["violations_total"] == 0
