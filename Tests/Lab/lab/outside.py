# SPDX-License-Identifier: GPL-3.0-or-later
"""Crafted IPv4-in-IPv6 packets as a stranger could send them to a CE, and a sniffer that tells what came of them."""

import socket
import time
from collections.abc import Iterable, Iterator
from typing import Self

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP, fragment
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from .netns import Namespace
from .waiting import patient

_ETH_P_ALL = 3
_IN_IPV6 = 4


def udp(source: tuple[str, int], target: tuple[str, int], payload: bytes) -> Packet:
    return IP(src=source[0], dst=target[0]) / UDP(sport=source[1], dport=target[1]) / Raw(payload)


def fragments(source: tuple[str, int], target: tuple[str, int], payload: bytes, size: int = 512) -> list[Packet]:
    """A datagram in pieces, in order; the port stands in the first of them only."""
    whole = IP(src=source[0], dst=target[0], id=4711) / UDP(sport=source[1], dport=target[1]) / Raw(payload)
    return [IP(bytes(piece)) for piece in fragment(IP(bytes(whole)), fragsize=size)]


def syn(source: tuple[str, int], target: tuple[str, int]) -> Packet:
    return IP(src=source[0], dst=target[0]) / TCP(sport=source[1], dport=target[1], flags="S", seq=1000)


def echo(source: str, target: str, identifier: int, payload: bytes, *, reply: bool = False) -> Packet:
    return IP(src=source, dst=target) / ICMP(type=0 if reply else 8, id=identifier, seq=1) / Raw(payload)


def port_unreachable(source: str, target: str, about: Packet, *, options: bool = False) -> Packet:
    """An ICMP error about a packet that `target` is said to have sent; on request that packet had IPv4 options."""
    quoted = about.copy()
    if options:
        quoted[IP].options = [IPOption_NOP()] * 4
    return IP(src=source, dst=target) / ICMP(type=3, code=3) / Raw(bytes(quoted)[:60])


class Stranger:
    """Sends tunnel packets from the ISP's network with whatever outer addresses it likes."""

    def __init__(self, isp: Namespace) -> None:
        self._socket = isp.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self._socket.close()

    def send(self, outer_source: str, outer_target: str, inner: Packet) -> None:
        packet = IPv6(src=outer_source, dst=outer_target, nh=_IN_IPV6, hlim=60) / Raw(bytes(inner))
        self._socket.sendto(bytes(packet), (outer_target, 0))


class Sniffer:
    """Everything that a device carried since the sniffer was made."""

    def __init__(self, namespace: Namespace, device: str) -> None:
        self._socket = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.bind((device, _ETH_P_ALL))
        self._socket.setblocking(False)
        self._frames: list[bytes] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def frames(self) -> list[bytes]:
        while True:
            try:
                self._frames.append(self._socket.recv(65536))
            except BlockingIOError:
                return self._frames

    def packets(self) -> Iterator[Packet]:
        return (Ether(frame) for frame in self.frames())

    def saw(self, token: bytes, patience: float = 0) -> bool:
        """Whether a frame contained these bytes, now or within `patience` seconds."""
        deadline = time.monotonic() + patient(patience)
        while not any(token in frame for frame in self.frames()):
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.01)
        return True


def mss(packets: Iterable[Packet], source: str) -> list[int]:
    """The MSS options of the SYNs that came from an address."""
    return [
        value
        for packet in packets
        if TCP in packet and packet[IP].src == source and "S" in packet[TCP].flags
        for name, value in packet[TCP].options
        if name == "MSS"
    ]


def tunnelled(packets: Iterable[Packet], outer_source: str) -> list[Packet]:
    """The inner packets of everything that left a CE address."""
    return [
        packet[IPv6].payload if isinstance(packet[IPv6].payload, IP) else IP(bytes(packet[IPv6].payload))
        for packet in packets
        if IPv6 in packet and packet[IPv6].nh == _IN_IPV6 and packet[IPv6].src == outer_source != packet[IPv6].dst
    ]
