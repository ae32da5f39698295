# SPDX-License-Identifier: GPL-3.0-or-later
"""Real traffic of two kernels through the judge: TCP both ways, with offloads on and off, and no false accusation.

The CE is a second labbr in AFTR mode turned round: it learns where the server is "subscribed" from the first packet
that comes down, and sends everything for it up. So it also verifies each packet that the judge sends down."""

import random
import socket
import threading

import pytest

from judge_line import CE, RELAYS, inside, run

ADDR, SERVER = "133.209.13.2", "198.51.100.2"
PORT = 5136
FIRST = ("--inner-src", SERVER, "--inner-dst", ADDR, "--sport", 9, "--dport", PORT, "--proto", "icmp-unreach")
LINKS = (("ce", "wan0"), ("isp", "acc0"), ("isp", "core0"), ("inet", "eth0"))


@pytest.fixture
def ce(line, start):
    """An end of the tunnel with a kernel behind it that has the CE's IPv4 address."""
    end = start("--mode", "aftr", "--relay", CE, "--mtu", "1460", namespace=line.ce, tun="ce0")
    run("ip", "-n", line.ce, "address", "add", f"{ADDR}/32", "dev", "ce0")
    run("ip", "-n", line.ce, "route", "add", "198.51.100.0/24", "dev", "ce0", "src", ADDR)
    return end


@pytest.fixture(params=["on", "off"])
def offloads(line, request):
    def switch(value):
        for part, device in LINKS:
            words = [word for name in ("tx", "rx", "tso", "gso") for word in (name, value)]
            run("ip", "netns", "exec", getattr(line, part), "ethtool", "-K", device, *words)

    switch(request.param)
    try:
        yield request.param
    finally:
        switch("on")


def serve(listener, content, received):
    """Takes one connection: reads until the other side has said all, then answers."""
    connection, peer = listener.accept()
    with connection:
        connection.settimeout(20)
        received.append(peer)
        while data := connection.recv(1 << 16):
            received.append(data)
        connection.sendall(content)


def test_tcp_both_ways(line, map_e, ce, offloads):
    judge = map_e("--mtu", "1460")
    line.plant_down(*FIRST)
    ce.stats(uplink_packets=1)
    # A port of its own for each run: the last one is still in TIME_WAIT.
    port = PORT if offloads == "on" else PORT + 1
    up, down = random.Random(1).randbytes(6_000_001), random.Random(2).randbytes(6_000_001)
    with inside(line.inet):
        listener = socket.create_server((SERVER, 8080))
    with inside(line.ce):
        client = socket.socket()
    received, answer = [], []
    with listener, client:
        listener.settimeout(10)
        thread = threading.Thread(target=serve, args=(listener, down, received))
        thread.start()
        client.settimeout(20)
        client.bind((ADDR, port))
        client.connect((SERVER, 8080))
        client.sendall(up)
        client.shutdown(socket.SHUT_WR)
        while data := client.recv(1 << 16):
            answer.append(data)
        thread.join(20)
    assert received[0] == (ADDR, port)
    assert b"".join(received[1:]) == up and b"".join(answer) == down
    stats = judge.stats(uplink_tcp=4000)
    assert stats["violations_total"] == 0, stats["recent"]
    assert stats["ports"] == [[port, port]]
    assert stats["info"]["no-ce"] == stats["info"]["tun-errors"] == stats["info"]["send-errors"] == 0
    end = ce.stats(uplink_tcp=4000)
    assert end["violations_total"] == 0, end["recent"]


def test_udp_of_every_size(line, map_e, ce, offloads):
    """Datagrams that the kernel cuts into inner fragments (1460) as well as those the relay cuts into outer ones."""
    judge = map_e()
    line.plant_down(*FIRST)
    ce.stats(uplink_packets=1)
    with inside(line.inet):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with inside(line.ce):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sizes = [0, 1, 2, 3, 500, 501, 1431, 1432, 1433, 1472, 1473, 4000, 9001, 65507]
    with server, client:
        for end, address in ((server, (SERVER, 5300)), (client, (ADDR, PORT))):
            end.bind(address)
            end.settimeout(5)
        for size in sizes:
            content = random.Random(size).randbytes(size)
            client.sendto(content, (SERVER, 5300))
            data, peer = server.recvfrom(65535)
            assert (data, peer) == (content, (ADDR, PORT))
            server.sendto(content, peer)
            assert client.recvfrom(65535) == (content, (SERVER, 5300))
    stats = judge.stats(reassembled=3)
    assert stats["violations_total"] == 0, stats["recent"]
    assert stats["info"]["reassembled"] >= 5 and stats["info"]["no-ce"] == 0
    assert ce.stats(outer_fragmented=1)["violations_total"] == 0
