# SPDX-License-Identifier: GPL-3.0-or-later
"""What answers in the inet namespace: a small web server, a TCP service that remembers its callers, UDP echo.

    tcp 80     GET /bytes/N: N bytes that anyone can compute, so that the reader can compare checksums
    tcp 7000   holds every connection open and echoes
    udp 7      echo
    udp 3478   tells the caller its own address and port, as a STUN server does
"""

import asyncio
import hashlib
import socket
import threading
from collections.abc import Iterable
from typing import Any

from .netns import Namespace
from .waiting import patient

WEB = 80
HOLD = 7000
ECHO = 7
MIRROR = 3478
CLOSED = 9
"""A port on which nothing listens."""

_PATTERN = bytes(range(251)) * 4178
"""About a megabyte whose period divides no power of two, so that a shifted segment cannot look right."""


def body(size: int) -> bytes:
    """What GET /bytes/size answers."""
    return (_PATTERN * (size // len(_PATTERN) + 1))[:size]


def digest(size: int) -> str:
    return hashlib.sha256(body(size)).hexdigest()


class Servers:
    """All services, on every given address, in one thread of this process."""

    def __init__(self, inet: Namespace, addresses: Iterable[str]) -> None:
        self.callers: list[tuple[str, int]] = []
        """Address and port of everyone who connected to the holding service since `forget()`."""
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._sockets = [
            (handler, _bound(inet, socket.SOCK_STREAM, address, port))
            for address in addresses
            for handler, port in ((self._web, WEB), (self._hold, HOLD))
        ]
        self._datagrams = [
            (mirror, _bound(inet, socket.SOCK_DGRAM, address, port))
            for address in addresses
            for mirror, port in ((False, ECHO), (True, MIRROR))
        ]
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ready,), daemon=True)
        self._thread.start()
        if not ready.wait(patient(10)):
            raise TimeoutError("the servers did not start")

    def forget(self) -> None:
        self.callers.clear()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(patient(5))

    def _serve(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(_report_all_but_resets)
        self._loop.run_until_complete(self._listen())
        self._loop.call_soon(ready.set)
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        for writer in self._writers:
            writer.transport.abort()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()
        for _, each in (*self._sockets, *self._datagrams):
            each.close()

    async def _listen(self) -> None:
        for handler, each in self._sockets:
            await asyncio.start_server(handler, sock=each, backlog=4096)
        for mirror, each in self._datagrams:
            await self._loop.create_datagram_endpoint(lambda mirror=mirror: _Datagrams(mirror), sock=each)

    async def _web(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            request = (await reader.readuntil(b"\r\n\r\n")).split(maxsplit=2)
            content = body(int(request[1].rpartition(b"/")[2]))
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + content)
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.transport.abort()
        finally:
            self._writers.discard(writer)

    async def _hold(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.callers.append(writer.get_extra_info("peername"))
        self._writers.add(writer)
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.close()
            await writer.wait_closed()
        except ConnectionError:
            writer.transport.abort()
        finally:
            self._writers.discard(writer)


class _Datagrams(asyncio.DatagramProtocol):
    """Echoes, or says who asked."""

    def __init__(self, mirror: bool) -> None:
        self._mirror = mirror

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = f"{addr[0]} {addr[1]}".encode() if self._mirror else data
        self._transport.sendto(answer, addr)


def _report_all_but_resets(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Clients of the lab end connections as they like; that is no error of the servers."""
    if not isinstance(context.get("exception"), ConnectionError):
        loop.default_exception_handler(context)


def _bound(inet: Namespace, kind: int, address: str, port: int) -> socket.socket:
    each = inet.socket(socket.AF_INET, kind)
    each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    each.bind((address, port))
    each.setblocking(False)
    return each
