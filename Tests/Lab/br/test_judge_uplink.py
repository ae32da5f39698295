# SPDX-License-Identifier: GPL-3.0-or-later
"""The way up: right packets pass untouched with no violation, each kind of fault is counted once and stops there.

labplant and scapy build the packets; scapy is the second opinion on every checksum."""

import random
import socket
import time

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror, UDPerror
from scapy.layers.sctp import SCTP
from scapy.packet import Raw

from judge_line import CE, NEIGHBOUR, ONE_TO_ONE_CE, RELAYS, SPARE, Wire

ADDR, SERVER = "133.209.13.2", "198.51.100.2"
OUTER = ("--outer-src", CE, "--outer-dst", RELAYS[0])
INNER = ("--inner-src", ADDR, "--inner-dst", SERVER)
PORTS = ("--sport", 5136, "--dport", 80)
FLOW = (*OUTER, *INNER, *PORTS)


def kinds(stats):
    """The counters that are not zero, after checking that their sum is what the total says."""
    assert sum(stats["violations"].values()) == stats["violations_total"]
    return {kind: count for kind, count in stats["violations"].items() if count}


def proven(data):
    """The packet as scapy reads it; fails when scapy would have given any checksum otherwise."""
    packet = IP(data)
    fresh = packet.copy()
    for layer in (IP, TCP, UDP, ICMP):
        if fresh.haslayer(layer):
            del fresh[layer].chksum
    assert bytes(fresh) == data
    return packet


RIGHT = {
    "udp": ("--proto", "udp"),
    "tcp": ("--proto", "tcp"),
    "udp, odd length": ("--proto", "udp", "--payload", 33),
    "tcp, odd length": ("--proto", "tcp", "--payload", 1399),
    "udp, nothing in it": ("--proto", "udp", "--payload", 0),
    "echo request": ("--proto", "icmp-echo"),
    "echo reply": ("--proto", "icmp-echo-reply", "--payload", 5),
    "unreachable about udp": ("--proto", "icmp-unreach"),
    "unreachable about tcp": ("--proto", "icmp-unreach", "--embedded-proto", "tcp"),
    "exceeded about udp": ("--proto", "icmp-exceeded"),
    "too big, header with options inside": ("--proto", "icmp-too-big", "--next-mtu", 1300, "--options"),
    "ip options": ("--proto", "udp", "--options"),
    "do not fragment": ("--proto", "tcp", "--df"),
    "ttl 1": ("--proto", "udp", "--ttl", 1),
}


@pytest.mark.parametrize("words", RIGHT.values(), ids=RIGHT.keys())
def test_right_packet_passes(line, judge, internet, words):
    line.plant(*FLOW, *words)
    (data,) = internet.take(1)
    packet = proven(data)
    assert (packet.src, packet.dst) == (ADDR, SERVER)
    stats = judge.stats(uplink_packets=1)
    assert kinds(stats) == {}
    assert stats["recent"] == []
    info = stats["info"]
    assert info["uplink-packets"] == info["uplink-forwarded"] == 1 and info["uplink-violating"] == 0
    assert info["uplink-bytes"] == len(data)
    assert info["uplink-udp"] + info["uplink-tcp"] + info["uplink-icmp"] == 1
    assert info["outer-tclass-differs"] == info["outer-options"] == info["trailing-bytes"] == 0


def test_unreachable_about_an_echo(line, judge, internet):
    """The embedded echo request came from outside: its identifier is a port of the set."""
    line.plant(*OUTER, *INNER, "--sport", 80, "--dport", 5136, "--proto", "icmp-unreach", "--embedded-proto", "icmp")
    assert len(internet.take(1)) == 1
    assert kinds(judge.stats(uplink_packets=1)) == {}


def test_ports_are_remembered(line, judge, internet):
    sent = {"tcp": [5136, 5137, 5138, 9232], "udp": [5140, 62495], "icmp-echo": [13328]}
    for kind, ports in sent.items():
        for port in ports:
            line.plant(*OUTER, *INNER, "--sport", port, "--dport", 80, "--proto", kind)
    stats = judge.stats(uplink_packets=7)
    assert kinds(stats) == {}
    assert stats["ports"] == [[5136, 5138], [5140, 5140], [9232, 9232], [62495, 62495]]
    assert stats["port-count"] == 6
    (ce,) = stats["ces"]
    assert (ce["address"], ce["ipv4"], ce["psid"], ce["packets"]) == (CE, ADDR, 65, 7)
    assert ce["tcp"] == [[5136, 5138], [9232, 9232]] and ce["tcp-count"] == 4
    assert ce["udp"] == [[5140, 5140], [62495, 62495]] and ce["udp-count"] == 2
    assert ce["icmp"] == [[13328, 13328]] and ce["icmp-count"] == 1


def test_udp_without_checksum(line, judge, internet):
    line.plant(*FLOW, "--proto", "udp", "--zero-checksum")
    (data,) = internet.take(1)
    assert IP(data)[UDP].chksum == 0
    stats = judge.stats(uplink_packets=1)
    assert kinds(stats) == {} and stats["info"]["udp-zero-checksum"] == 1


def test_outer_fragments(line, judge, internet):
    line.plant(*FLOW, "--proto", "udp", "--payload", 1400, "--outer-fragment", 1200)
    assert len(proven(internet.take(1)[0])[UDP].payload) == 1400
    stats = judge.stats(uplink_packets=1)
    assert kinds(stats) == {} and stats["info"]["outer-fragmented"] == 1 and stats["info"]["uplink-packets"] == 1


def test_encapsulation_limit_is_seen(line, judge, internet):
    line.plant(*FLOW, "--proto", "udp", "--encap-limit")
    assert len(internet.take(1)) == 1
    stats = judge.stats(uplink_packets=1)
    assert kinds(stats) == {} and stats["info"]["outer-options"] == 1


def test_traffic_class_is_compared(line, judge, internet):
    line.plant(*FLOW, "--proto", "udp", "--tos", 0xB8)
    assert judge.stats(uplink_packets=1)["info"]["outer-tclass-differs"] == 0
    line.plant(*FLOW, "--proto", "udp", "--tos", 0xB8, "--traffic-class", 0)
    stats = judge.stats(uplink_packets=2)
    assert kinds(stats) == {} and stats["info"]["outer-tclass-differs"] == 1


def test_both_relays_are_relays(line, judge, internet):
    line.plant("--outer-src", CE, "--outer-dst", RELAYS[1], *INNER, *PORTS, "--proto", "udp")
    assert len(internet.take(1)) == 1
    assert kinds(judge.stats(uplink_packets=1)) == {}


@pytest.mark.parametrize("kind", ["gre", "esp", "udp", "tcp", "icmp-echo", "icmp-unreach"])
def test_an_address_of_its_own_may_do_everything(line, judge, internet, kind):
    line.plant(
        "--outer-src", ONE_TO_ONE_CE, "--outer-dst", RELAYS[0], "--inner-src", "192.0.2.1", "--inner-dst", SERVER,
        "--sport", 80, "--dport", 80, "--proto", kind,
    )
    (data,) = internet.take(1)
    assert IP(data).src == "192.0.2.1"
    assert kinds(judge.stats(uplink_packets=1)) == {}


def test_sctp_has_ports(judge, internet, tunnel):
    tunnel.send(CE, RELAYS[0], bytes(IP(src=ADDR, dst=SERVER) / SCTP(sport=5136, dport=9)))
    assert len(internet.take(1)) == 1
    tunnel.send(CE, RELAYS[0], bytes(IP(src=ADDR, dst=SERVER) / SCTP(sport=5000, dport=9)))
    assert kinds(judge.stats(uplink_packets=2)) == {"port-set": 1}


# Each with exactly one fault.
WRONG = {
    "outer source: another subnet of the user prefix": (
        "outer-source", "--outer-src", "2404:7a82:4d02:4101:85:d10d:200:4100", "--outer-dst", RELAYS[0], *INNER, *PORTS,
        "--proto", "udp",
    ),
    "outer source: identifier of the other layout": (
        "outer-source", "--outer-src", "2404:7a82:4d02:4100:0:85d1:d02:41", "--outer-dst", RELAYS[0], *INNER, *PORTS,
        "--proto", "tcp",
    ),
    "outer source: outside every rule": (
        "outer-source", "--outer-src", "2001:db8:ffff::2", "--outer-dst", RELAYS[0], *INNER, *PORTS, "--proto", "udp",
    ),
    "outer source: wrong PSID in the identifier": (
        "outer-source", "--outer-src", "2404:7a82:4d02:4100:85:d10d:200:4200", "--outer-dst", RELAYS[0], *INNER, *PORTS,
        "--proto", "udp",
    ),
    "outer destination": ("outer-dest", "--outer-src", CE, "--outer-dst", SPARE, *INNER, *PORTS, "--proto", "udp"),
    "inner source: private": (
        "inner-source", *OUTER, "--inner-src", "192.168.1.10", "--inner-dst", SERVER, *PORTS, "--proto", "udp",
    ),
    "inner source: the address of another CE": (
        "inner-source", *OUTER, "--inner-src", "133.209.13.3", "--inner-dst", SERVER, *PORTS, "--proto", "tcp",
    ),
    "inner source: private, in GRE": (
        "inner-source", *OUTER, "--inner-src", "192.168.1.10", "--inner-dst", SERVER, "--proto", "gre",
    ),
    "port below the range": ("port-set", *OUTER, *INNER, "--sport", 5135, "--dport", 80, "--proto", "udp"),
    "port above the range": ("port-set", *OUTER, *INNER, "--sport", 5152, "--dport", 80, "--proto", "tcp"),
    "port in block 0": ("port-set", *OUTER, *INNER, "--sport", 1040, "--dport", 80, "--proto", "udp"),
    "identifier of a request": ("port-set", *OUTER, *INNER, "--sport", 77, "--proto", "icmp-echo"),
    "identifier of a reply": ("port-set", *OUTER, *INNER, "--sport", 77, "--proto", "icmp-echo-reply"),
    "right port of the neighbour's set": (
        "port-set", *OUTER, *INNER, "--sport", 5152, "--dport", 5136, "--proto", "udp",
    ),
    "gre": ("protocol", *OUTER, *INNER, "--proto", "gre"),
    "esp": ("protocol", *OUTER, *INNER, "--proto", "esp"),
    "ip checksum": ("ip-checksum", *FLOW, "--proto", "udp", "--bad-checksum", "ip"),
    "tcp checksum": ("tcp-checksum", *FLOW, "--proto", "tcp", "--bad-checksum", "l4"),
    "tcp checksum, odd": ("tcp-checksum", *FLOW, "--proto", "tcp", "--bad-checksum", "l4", "--payload", 3),
    "udp checksum": ("udp-checksum", *FLOW, "--proto", "udp", "--bad-checksum", "l4"),
    "udp checksum in outer fragments": (
        "udp-checksum", *FLOW, "--proto", "udp", "--bad-checksum", "l4", "--payload", 1400, "--outer-fragment", 800,
    ),
    "icmp checksum, request": ("icmp-checksum", *FLOW, "--proto", "icmp-echo", "--bad-checksum", "l4"),
    "icmp checksum, reply": ("icmp-checksum", *FLOW, "--proto", "icmp-echo-reply", "--bad-checksum", "l4"),
    "icmp checksum, error": ("icmp-checksum", *FLOW, "--proto", "icmp-unreach", "--bad-checksum", "l4"),
    "embedded port": ("icmp-inner", *OUTER, *INNER, "--sport", 4100, "--dport", 80, "--proto", "icmp-unreach"),
    "embedded address": (
        "icmp-inner", *FLOW, "--proto", "icmp-exceeded", "--embedded-dst", "192.168.1.10",
    ),
    "embedded protocol without ports": ("icmp-inner", *FLOW, "--proto", "icmp-unreach", "--embedded-proto", 47),
    "embedded echo identifier": (
        "icmp-inner", *FLOW, "--proto", "icmp-unreach", "--embedded-proto", "icmp",
    ),
    "packet cut": ("truncated", *FLOW, "--proto", "udp", "--truncate", 1),
    "header cut": ("truncated", *FLOW, "--proto", "udp", "--truncate", 41),
    "nothing inside": ("truncated", *FLOW, "--proto", "udp", "--truncate", 60),
    "hop limit of the tunnel": ("hop-limit", *FLOW, "--proto", "udp", "--hop-limit", 2),
    "ttl": ("hop-limit", *FLOW, "--proto", "udp", "--ttl", 0),
}


@pytest.mark.parametrize("words", WRONG.values(), ids=WRONG.keys())
def test_fault_is_counted_and_stopped(line, judge, internet, words):
    kind, *arguments = words
    line.plant(*arguments)
    stats = judge.stats(uplink_packets=1)
    assert kinds(stats) == {kind: 1}
    assert stats["info"]["uplink-violating"] == 1 and stats["info"]["uplink-forwarded"] == 0
    (text,) = stats["recent"]
    assert text.startswith(kind + ":")
    internet.nothing()


def test_every_kind_is_planted(judge):
    planted = {words[0] for words in WRONG.values()} | {"fragment"}  # the last in the test of overlaps
    assert planted == set(judge.read()["violations"])


def test_independent_faults_count_together(line, judge):
    line.plant(
        "--outer-src", CE, "--outer-dst", SPARE, *INNER, "--sport", 5000, "--dport", 80, "--proto", "tcp",
        "--bad-checksum", "l4", "--hop-limit", 1,
    )
    stats = judge.stats(uplink_packets=1)
    assert kinds(stats) == {"outer-dest": 1, "port-set": 1, "tcp-checksum": 1, "hop-limit": 1}
    assert stats["violations_total"] == 4 and stats["info"]["uplink-violating"] == 1


def error(embedded, **header):
    return IP(src=ADDR, dst=SERVER) / ICMP(type=header.pop("type", 3), code=3, **header) / embedded


def test_more_of_icmp(judge, internet, tunnel):
    good = IPerror(src=SERVER, dst=ADDR) / UDPerror(sport=53, dport=5136, len=8)
    checksum = IPerror(bytes(good)).chksum
    cases = [
        ({}, error(good)),
        ({"icmp-inner": 1}, error(IPerror(src=SERVER, dst=ADDR, chksum=checksum ^ 1) / good[UDPerror])),
        ({"icmp-inner": 1}, error(IPerror(src=SERVER, dst=ADDR, frag=5) / good[UDPerror])),
        ({"icmp-inner": 1}, error(Raw(bytes(good)[:27]))),
        ({"icmp-inner": 1}, error(Raw(bytes(good)[:12]))),
        ({"icmp-inner": 1}, error(Raw(b""))),
        # The packet inside may be cut behind eight bytes of its payload, whatever length its header tells.
        ({}, error(IPerror(src=SERVER, dst=ADDR, len=1500) / good[UDPerror])),
        # Redirects and router advertisements are not for the other end of a tunnel.
        ({"protocol": 1}, error(good, type=5)),
        ({"protocol": 1}, IP(src=ADDR, dst=SERVER) / ICMP(type=9, id=5136)),
        ({}, IP(src=ADDR, dst=SERVER) / ICMP(type=13, id=5136)),
        ({"port-set": 1}, IP(src=ADDR, dst=SERVER) / ICMP(type=13, id=1)),
    ]
    for wanted, packet in cases:
        judge.reset()
        tunnel.send(CE, RELAYS[0], bytes(packet))
        assert kinds(judge.stats(uplink_packets=1)) == wanted, packet.summary()
        assert len(internet.take(1, 3 if wanted == {} else 0.05)) == (wanted == {})


def test_lengths_inside_the_packet(judge, tunnel):
    cases = [
        IP(src=ADDR, dst=SERVER) / UDP(sport=5136, dport=53, len=7) / b"x",
        IP(src=ADDR, dst=SERVER) / UDP(sport=5136, dport=53, len=20) / b"x",
        IP(src=ADDR, dst=SERVER, proto=17) / Raw(b"\x14\x10\x00"),
        IP(src=ADDR, dst=SERVER, proto=1) / Raw(b"\x08\x00"),
        IP(src=ADDR, dst=SERVER) / TCP(sport=5136, dport=80, dataofs=4),
        IP(src=ADDR, dst=SERVER) / TCP(sport=5136, dport=80, dataofs=6),
        IP(src=ADDR, dst=SERVER, proto=6) / Raw(bytes(TCP(sport=5136, dport=80))[:19]),
    ]
    for count, packet in enumerate(cases, 1):
        tunnel.send(CE, RELAYS[0], bytes(packet))
        stats = judge.stats(uplink_packets=count)
        assert kinds(stats) == {"truncated": count}, packet.summary()


def test_what_is_no_ipv4(judge, tunnel):
    right = bytes(IP(src=ADDR, dst=SERVER) / UDP(sport=5136, dport=53))
    for count, first in enumerate((0x65, 0x44, 0x4F, 0x00), 1):
        tunnel.send(CE, RELAYS[0], bytes([first]) + right[1:])
        assert kinds(judge.stats(uplink_packets=count)) == {"truncated": count}


def test_bytes_behind_the_packet(judge, internet, tunnel):
    """Padding is no violation, but it is told, and it does not go on."""
    packet = bytes(IP(src=ADDR, dst=SERVER) / UDP(sport=5136, dport=53) / b"abc")
    tunnel.send(CE, RELAYS[0], packet + bytes(7))
    assert len(internet.take(1)[0]) == len(packet)
    stats = judge.stats(uplink_packets=1)
    assert kinds(stats) == {} and stats["info"]["trailing-bytes"] == 1


LAYERS = {
    "tcp": lambda: TCP(sport=5136, dport=80, seq=77, flags="PA"),
    "udp": lambda: UDP(sport=5136, dport=53),
    "icmp": lambda: ICMP(type=8, id=5136, seq=3),
}


@pytest.mark.parametrize("name", LAYERS)
def test_checksum_at_every_length(judge, internet, tunnel, name):
    generator = random.Random(7)
    for length in [*range(67), 1399, 1400, 1419, 1420]:
        packet = IP(src=ADDR, dst=SERVER) / LAYERS[name]() / generator.randbytes(length)
        tunnel.send(CE, RELAYS[0], bytes(packet))
        assert internet.take(1) == [bytes(packet)]
    stats = judge.stats(uplink_packets=71)
    assert kinds(stats) == {} and stats["info"]["uplink-forwarded"] == 71


@pytest.mark.parametrize("name", LAYERS)
def test_every_flipped_bit_is_noticed(judge, internet, tunnel, name):
    right = bytes(IP(src=ADDR, dst=SERVER) / LAYERS[name]() / b"every bit counts")
    sent = 0
    for position in range(8 * 20, 8 * len(right)):
        wrong = bytearray(right)
        wrong[position // 8] ^= 1 << position % 8
        tunnel.send(CE, RELAYS[0], bytes(wrong))
        sent += 1
    stats = judge.stats(uplink_packets=sent)
    assert stats["info"]["uplink-violating"] == sent and stats["info"]["uplink-forwarded"] == 0
    # A flipped length or data offset is told as that, the rest by the checksum.
    assert stats["violations"][f"{name}-checksum"] + stats["violations"]["truncated"] == sent
    assert stats["violations"]["truncated"] <= 20
    internet.nothing()


def test_every_flipped_bit_of_the_ip_header_is_noticed(judge, internet, tunnel):
    right = bytes(IP(src=ADDR, dst=SERVER) / UDP(sport=5136, dport=53) / b"every bit counts")
    for position in range(8 * 20):
        wrong = bytearray(right)
        wrong[position // 8] ^= 1 << position % 8
        tunnel.send(CE, RELAYS[0], bytes(wrong))
    stats = judge.stats(uplink_packets=160)
    # A flipped version, header length or total length can leave no packet to sum up.
    assert stats["info"]["uplink-violating"] == 160 and stats["info"]["uplink-forwarded"] == 0
    assert stats["violations"]["ip-checksum"] >= 160 - 8 - 16
    internet.nothing()


@pytest.mark.parametrize("order", [(), ("--reverse",)], ids=["in order", "reversed"])
@pytest.mark.parametrize("kind", ["udp", "tcp", "icmp-echo"])
def test_inner_fragments_pass_as_they_came(line, judge, internet, kind, order):
    line.plant(*FLOW, "--proto", kind, "--payload", 3001, "--fragment", 1200, *order)
    pieces = internet.take(3)
    assert len(pieces) == 3
    payload = bytearray(4000)
    for piece in pieces:
        packet = IP(piece)
        assert (packet.src, packet.dst) == (ADDR, SERVER)
        content = piece[20:]
        payload[packet.frag * 8 : packet.frag * 8 + len(content)] = content
    offsets = [IP(piece).frag for piece in pieces]
    assert offsets == ([300, 150, 0] if order else [0, 150, 300])
    assert [IP(piece).flags.MF for piece in pieces] == [offset < 300 for offset in offsets]
    stats = judge.stats(uplink_packets=3)
    assert kinds(stats) == {}
    assert stats["info"]["inner-fragments"] == 3 and stats["info"]["reassembled"] == 1
    assert stats["ces"][0]["packets"] == 3


def test_fragment_waits_for_the_rest(line, judge, internet):
    words = (*FLOW, "--proto", "udp", "--payload", 100, "--fragment", 64, "--identification", 9)
    line.plant(*words, "--only", 0)
    internet.nothing()
    line.plant(*words, "--only", 1)
    assert len(internet.take(2)) == 2
    assert kinds(judge.stats(uplink_packets=2)) == {}


FRAGMENTED = {
    "port, seen in the first fragment alone": ("port-set", 1, *OUTER, *INNER, "--sport", 80, "--proto", "udp"),
    "checksum over all of them": ("udp-checksum", 1, *FLOW, "--proto", "udp", "--bad-checksum", "l4"),
    "checksum of tcp": ("tcp-checksum", 1, *FLOW, "--proto", "tcp", "--bad-checksum", "l4"),
    "checksum of icmp": ("icmp-checksum", 1, *FLOW, "--proto", "icmp-echo", "--bad-checksum", "l4"),
    "protocol": ("protocol", 1, *OUTER, *INNER, "--proto", "gre"),
    "inner source, in each of them": (
        "inner-source", 2, *OUTER, "--inner-src", "10.0.0.1", "--inner-dst", SERVER, *PORTS, "--proto", "udp",
    ),
    "outer source, in each of them": (
        "outer-source", 2, "--outer-src", "2001:db8:ffff::2", "--outer-dst", RELAYS[0], *INNER, *PORTS,
        "--proto", "udp",
    ),
}


@pytest.mark.parametrize("order", [(), ("--reverse",)], ids=["in order", "reversed"])
@pytest.mark.parametrize("words", FRAGMENTED.values(), ids=FRAGMENTED.keys())
def test_fault_in_fragments(line, judge, internet, words, order):
    kind, count, *arguments = words
    line.plant(*arguments, "--payload", 100, "--fragment", 64, *order)
    assert kinds(judge.stats(uplink_packets=2, reassembled=1)) == {kind: count}
    internet.nothing()


def test_overlapping_fragments(line, judge, internet):
    words = (*FLOW, "--proto", "udp", "--payload", 100, "--identification", 5)
    line.plant(*words, "--fragment", 64, "--only", 0)
    line.plant(*words, "--fragment", 56, "--only", 1)
    line.plant(*words, "--fragment", 64, "--only", 1)
    stats = judge.stats(uplink_packets=3)
    assert kinds(stats) == {"fragment": 1}
    internet.nothing()


def test_fragment_behind_the_last(line, judge, internet):
    words = (*FLOW, "--proto", "udp", "--identification", 6)
    line.plant(*words, "--payload", 200, "--fragment", 64, "--only", 2)
    line.plant(*words, "--payload", 100, "--fragment", 64, "--only", 1)
    assert kinds(judge.stats(uplink_packets=2)) == {"fragment": 1}
    internet.nothing()


def test_fragment_past_the_largest_packet(judge, internet, tunnel):
    tunnel.send(CE, RELAYS[0], bytes(IP(src=ADDR, dst=SERVER, proto=17, frag=8191) / Raw(bytes(40))))
    assert kinds(judge.stats(uplink_packets=1)) == {"fragment": 1}
    internet.nothing()


def test_two_ces_may_use_one_identification(line, judge, internet):
    """RFC 7597 section 8.3.3: CEs of one IPv4 address share the identification numbers."""
    other = ("--outer-src", NEIGHBOUR, "--outer-dst", RELAYS[0], *INNER, "--sport", 5152, "--dport", 80)
    words = ("--proto", "udp", "--payload", 100, "--fragment", 64, "--identification", 7)
    line.plant(*FLOW, *words, "--only", 0)
    line.plant(*other, *words, "--only", 0)
    line.plant(*other, *words, "--only", 1)
    line.plant(*FLOW, *words, "--only", 1)
    assert len(internet.take(4)) == 4
    stats = judge.stats(uplink_packets=4)
    assert kinds(stats) == {} and stats["info"]["reassembled"] == 2
    assert [ce["packets"] for ce in stats["ces"]] == [2, 2]


def test_many_unfinished_datagrams(line, judge, internet):
    """More than the store holds: the oldest are given up, and what comes whole still passes."""
    line.plant(*FLOW, "--proto", "udp", "--payload", 100, "--fragment", 64, "--only", 0, "--count", 200)
    judge.stats(uplink_packets=200)
    line.plant(*FLOW, "--proto", "udp", "--payload", 100, "--fragment", 64, "--identification", 1)
    assert len(internet.take(2)) == 2
    stats = judge.stats(uplink_packets=202, fragments_expired=137)
    assert kinds(stats) == {} and stats["info"]["fragments-expired"] == 137


def test_partial_checksums(line, map_e, tunnel):
    """What a kernel leaves to hardware: a fault by default, finished and told on request."""
    packets = []
    for layer, field in ((TCP(sport=5136, dport=80), 16), (UDP(sport=5136, dport=53), 6)):
        whole = bytearray(bytes(IP(src=ADDR, dst=SERVER) / layer / b"partial"))
        right = bytes(whole)
        pseudo = socket.inet_aton(ADDR) + socket.inet_aton(SERVER) + bytes([0, right[9]]) + bytes([0, len(right) - 20])
        total = sum(int.from_bytes(pseudo[i : i + 2], "big") for i in range(0, 12, 2))
        whole[20 + field : 22 + field] = (total % 0xFFFF).to_bytes(2, "big")
        packets.append((right, bytes(whole)))
    judge = map_e()
    for _, wrong in packets:
        tunnel.send(CE, RELAYS[0], wrong)
    stats = judge.stats(uplink_packets=2)
    assert kinds(stats) == {"tcp-checksum": 1, "udp-checksum": 1} and stats["info"]["partial-checksum"] == 2
    judge.stop()

    judge = map_e("--accept-partial-checksums")
    wire = Wire(line.isp, "br0")
    for right, wrong in packets:
        tunnel.send(CE, RELAYS[0], wrong)
        assert wire.take(1) == [right]
    wire.close()
    stats = judge.stats(uplink_packets=2)
    assert kinds(stats) == {} and stats["info"]["partial-checksum"] == 2


def test_forward_violations(line, map_e):
    judge = map_e("--forward-violations")
    wire = Wire(line.isp, "br0")
    line.plant(*OUTER, *INNER, "--sport", 80, "--proto", "udp")
    line.plant(*OUTER, *INNER, "--sport", 80, "--proto", "udp", "--payload", 100, "--fragment", 64)
    assert len(wire.take(3)) == 3
    wire.close()
    assert kinds(judge.stats(uplink_packets=3)) == {"port-set": 2}


def test_reset_and_end(line, judge):
    line.plant(*OUTER, *INNER, "--sport", 80, "--proto", "udp")
    assert judge.stats(uplink_packets=1)["violations_total"] == 1
    stats = judge.reset()
    assert stats["resets"] == 1 and stats["violations_total"] == 0 and stats["recent"] == []
    assert stats["ports"] == [] and stats["ces"] == [] and not any(stats["info"].values())
    line.plant(*FLOW, "--proto", "udp", "--count", 3)
    assert judge.stop() == 0
    stats = judge.read()
    assert stats["info"]["uplink-packets"] == 3 and stats["ports"] == [[5136, 5136]]


def test_statistics_come_by_themselves(line, judge):
    line.plant(*FLOW, "--proto", "udp")
    end = time.monotonic() + 2
    while judge.read()["info"]["uplink-packets"] == 0:
        assert time.monotonic() < end
        time.sleep(0.02)
    sequence = judge.read()["sequence"]
    time.sleep(0.5)
    assert judge.read()["sequence"] == sequence, "written without a change"
