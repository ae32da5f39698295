# SPDX-License-Identifier: GPL-3.0-or-later
"""Services of LAN hosts and of the router: TCP and UDP on one address and port, which tell a caller its own address."""

import select
import socket
import threading
from typing import Self

from .netns import Namespace


class Service:
    """Answers `NAME ADDRESS PORT` to whoever calls: its own name and where the call came from. UDP also tells how many
    bytes came."""

    def __init__(self, namespace: Namespace, address: str, port: int, name: str) -> None:
        self._name = name
        self._listener = namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._datagrams = namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for each in (self._listener, self._datagrams):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            each.bind((address, port))
        self._listener.listen(64)
        self._ending, self._end = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self._end.close()
        self._thread.join(5)
        for each in (self._listener, self._datagrams, self._ending):
            each.close()

    def _answer(self, caller: tuple[str, int]) -> bytes:
        return f"{self._name} {caller[0]} {caller[1]}".encode()

    def _serve(self) -> None:
        open_: list[socket.socket] = []
        while True:
            for each in select.select([self._listener, self._datagrams, self._ending, *open_], [], [])[0]:
                if each is self._ending:
                    for connection in open_:
                        connection.close()
                    return
                try:
                    if each is self._listener:
                        connection, caller = each.accept()
                        connection.sendall(self._answer(caller))
                        open_.append(connection)
                    elif each is self._datagrams:
                        data, caller = each.recvfrom(65536)
                        each.sendto(self._answer(caller) + f" {len(data)}".encode(), caller)
                    elif data := each.recv(4096):
                        each.sendall(data)
                    else:
                        open_.remove(each)
                        each.close()
                except OSError:
                    if each in open_:
                        open_.remove(each)
                        each.close()


def call_tcp(source: Namespace, target: tuple[str, int], *, local: str = "", timeout: float = 3) -> tuple[str, str, int]:
    """Calls a service, on request from a certain address; its name, and the caller as it saw it. Says goodbye before it
    returns."""
    with source.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(timeout)
        if local:
            client.bind((local, 0))
        client.connect(target)
        name, address, port = client.recv(100).decode().split()
        client.sendall(b"bye")
        assert client.recv(100) == b"bye"
        return name, address, int(port)


def call_udp(
    source: Namespace, target: tuple[str, int], *, local: str = "", size: int = 10, timeout: float = 3
) -> tuple[str, str, int]:
    """The same by UDP, with a datagram of any size; the answer must come from where the call went."""
    with source.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(timeout)
        # IP_MTU_DISCOVER = IP_PMTUDISC_DONT: large datagrams go in fragments.
        client.setsockopt(socket.SOL_IP, 10, 0)
        if local:
            client.bind((local, 0))
        client.sendto(bytes(size), target)
        data, sender = client.recvfrom(100)
        assert sender == target, f"called {target}, and {sender} answered"
        name, address, port, length = data.decode().split()
        assert int(length) == size
        return name, address, int(port)
