# SPDX-License-Identifier: GPL-3.0-or-later
"""A STUN server with two addresses and two ports, and a client that finds out what a NAT does (RFC 5780, sections 4.3
and 4.4), as game consoles and calls do."""

import os
import select
import socket
import struct
import threading
from dataclasses import dataclass
from enum import Enum
from typing import Self

from .netns import Namespace

PORTS = (3480, 3481)

_COOKIE = 0x2112A442
_BINDING, _SUCCESS = 0x0001, 0x0101
_CHANGE_REQUEST, _XOR_MAPPED_ADDRESS = 0x0003, 0x0020
_CHANGE_ADDRESS, _CHANGE_PORT = 4, 2
_PATIENCE, _ATTEMPTS = 0.4, 3

Address = tuple[str, int]


class Behavior(Enum):
    """What something depends on."""

    ENDPOINT_INDEPENDENT = "nothing"
    ADDRESS_DEPENDENT = "the other address"
    ADDRESS_AND_PORT_DEPENDENT = "the other address and port"


@dataclass(frozen=True)
class Verdict:
    mapping: Behavior
    filtering: Behavior
    mapped: Address
    """The address and port that the world sees."""


class StunServer:
    """Answers from the address and the port that it is asked to answer from."""

    def __init__(self, inet: Namespace, addresses: tuple[str, str]) -> None:
        self._sockets: dict[Address, socket.socket] = {}
        for address in addresses:
            for port in PORTS:
                each = inet.socket(socket.AF_INET, socket.SOCK_DGRAM)
                each.bind((address, port))
                self._sockets[address, port] = each
        self._addresses = addresses
        self._ending, self._end = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self._end.close()
        self._thread.join(5)
        for each in (*self._sockets.values(), self._ending):
            each.close()

    def _serve(self) -> None:
        while True:
            for each in select.select([self._ending, *self._sockets.values()], [], [])[0]:
                if each is self._ending:
                    return
                request, client = each.recvfrom(2048)
                kind, _, cookie = struct.unpack_from("!HHI", request)
                if kind != _BINDING or cookie != _COOKIE:
                    continue
                change = struct.unpack_from("!I", request, 24)[0] if len(request) >= 28 else 0
                address, port = each.getsockname()
                if change & _CHANGE_ADDRESS:
                    address = next(other for other in self._addresses if other != address)
                if change & _CHANGE_PORT:
                    port = next(other for other in PORTS if other != port)
                number = struct.unpack("!I", socket.inet_aton(client[0]))[0]
                mapped = struct.pack("!BBHI", 0, 1, client[1] ^ _COOKIE >> 16, number ^ _COOKIE)
                header = struct.pack("!HHI", _SUCCESS, 4 + len(mapped), _COOKIE) + request[8:20]
                body = struct.pack("!HH", _XOR_MAPPED_ADDRESS, len(mapped)) + mapped
                self._sockets[address, port].sendto(header + body, client)


def ask(client: socket.socket, server: Address, change: int = 0) -> Address | None:
    """The address and port that the server sees; nothing if no answer gets through."""
    transaction = os.urandom(12)
    body = struct.pack("!HHI", _CHANGE_REQUEST, 4, change) if change else b""
    for _ in range(_ATTEMPTS):
        client.sendto(struct.pack("!HHI", _BINDING, len(body), _COOKIE) + transaction + body, server)
        while select.select([client], [], [], _PATIENCE)[0]:
            answer = client.recv(2048)
            if answer[8:20] != transaction:
                continue
            _, _, port, number = struct.unpack_from("!BBHI", answer, 24)
            return socket.inet_ntoa(struct.pack("!I", number ^ _COOKIE)), port ^ _COOKIE >> 16
    return None


def examine(lan: Namespace, addresses: tuple[str, str]) -> Verdict:
    """What lies between a LAN host and the server, with a socket for each of the two questions: the first writes to
    several places, and thereby opens its port to them."""
    first, second = addresses
    with lan.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        mapped = ask(client, (first, PORTS[0]))
        assert mapped, "the STUN server does not answer"
        if ask(client, (second, PORTS[0])) == ask(client, (second, PORTS[1])) == mapped:
            mapping = Behavior.ENDPOINT_INDEPENDENT
        else:
            mapping = Behavior.ADDRESS_AND_PORT_DEPENDENT
    with lan.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        mapped = ask(client, (first, PORTS[0]))
        assert mapped, "the STUN server does not answer"
        if ask(client, (first, PORTS[0]), _CHANGE_ADDRESS | _CHANGE_PORT):
            filtering = Behavior.ENDPOINT_INDEPENDENT
        elif ask(client, (first, PORTS[0]), _CHANGE_PORT):
            filtering = Behavior.ADDRESS_DEPENDENT
        else:
            filtering = Behavior.ADDRESS_AND_PORT_DEPENDENT
    return Verdict(mapping, filtering, mapped)
