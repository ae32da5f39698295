# SPDX-License-Identifier: GPL-3.0-or-later
"""What a computer on the LAN does: ping, fetch, hold connections, send datagrams, trace routes, find the path MTU."""

import errno
import hashlib
import re
import resource
import select
import socket
import statistics
import struct
import subprocess
import time
from dataclasses import dataclass, field
from typing import Self

from . import servers
from .netns import CommandError, Namespace, end
from .waiting import patient

_SO_NO_CHECK = 11
_IP_MTU_DISCOVER, _IP_PMTUDISC_DO, _IP_MTU = 10, 2, 14
_PACE = 64
_SYN_LINEAR_TIMEOUTS = "ipv4/tcp_syn_linear_timeouts"
_TOTAL_RETRANS = 100
"""Offset of tcpi_total_retrans in struct tcp_info; it counts retransmitted SYNs too."""


def ping(source: Namespace, target: str, *, count: int = 5, interval: float = 0.2) -> None:
    """Fails unless every echo request is answered, the last one within one interval.

    Without `-w`, `ping` waits for the last answer only twice as long as the slowest one before took.
    """
    deadline = str(int(count * interval) + int(patient(3)))
    out = source.run("ping", "-n", "-c", str(count), "-i", str(interval), "-w", deadline, target, check=False).stdout
    if f"{count} packets transmitted, {count} received" not in out:
        raise CommandError(out)


def fetch(source: Namespace, server: str, size: int) -> float:
    """Fetches `size` bytes over HTTP, compares them by SHA-256 and returns the seconds it took."""
    started = time.monotonic()
    options = ["-sS", "--noproxy", "*", "--max-time", f"{patient(30):g}"]
    with source.entered():
        got = subprocess.run(
            ["curl", *options, f"http://{server}:{servers.WEB}/bytes/{size}"], capture_output=True, check=False
        )
    if got.returncode != 0:
        raise CommandError(got.stderr.decode())
    assert len(got.stdout) == size, f"got {len(got.stdout)} of {size} bytes"
    assert hashlib.sha256(got.stdout).hexdigest() == servers.digest(size), "the content arrived changed"
    return time.monotonic() - started


def upload(source: Namespace, server: str, size: int) -> None:
    """Sends `size` bytes to the echoing service and compares what comes back: large segments in both directions."""
    content = servers.body(size)
    received = bytearray()
    with source.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(patient(20))
        client.connect((server, servers.HOLD))
        client.setblocking(False)
        sent = 0
        deadline = time.monotonic() + patient(30)
        while len(received) < size:
            assert time.monotonic() < deadline, f"echoed {len(received)} of {size} bytes in time"
            readable, writable, _ = select.select([client], [client] if sent < size else [], [], 1)
            if writable:
                sent += client.send(content[sent : sent + 65536])
            if readable:
                chunk = client.recv(1 << 18)
                assert chunk, f"closed after {len(received)} bytes"
                received += chunk
    assert hashlib.sha256(received).hexdigest() == servers.digest(size), "the content came back changed"


def udp_socket(source: Namespace, *, checksum: bool = True, port: int = 0) -> socket.socket:
    """A datagram socket, on request one whose datagrams carry the checksum 0."""
    client = source.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(patient(3))
    if not checksum:
        client.setsockopt(socket.SOL_SOCKET, _SO_NO_CHECK, 1)
    if port:
        client.bind(("0.0.0.0", port))
    return client


def udp_echo(
    source: Namespace, server: str, *, checksum: bool = True, sizes: tuple[int, ...] = (1, 64, 1001, 1432)
) -> None:
    """Sends datagrams of several sizes, odd ones too, and expects each back unchanged."""
    with udp_socket(source, checksum=checksum) as client:
        client.connect((server, servers.ECHO))
        for size in sizes:
            client.send(servers.body(size))
            assert client.recv(65536) == servers.body(size), f"{size} bytes came back changed"


def mirror(client: socket.socket, server: str) -> tuple[str, int]:
    """The address and port under which the world sees a datagram socket."""
    client.sendto(b"?", (server, servers.MIRROR))
    address, port = client.recv(64).decode().split()
    return address, int(port)


def udp_error(source: Namespace, server: str) -> int:
    """Sends a datagram to a port nobody listens on, and returns the errno that the socket gets."""
    with udp_socket(source) as client:
        client.connect((server, servers.CLOSED))
        client.send(b"anyone?")
        try:
            client.recv(64)
        except TimeoutError:
            return errno.ETIMEDOUT
        except OSError as error:
            return error.errno or 0
    raise AssertionError("a closed port answered")


def path_mtu(source: Namespace, server: str) -> int:
    """Sends full-size datagrams that must not be fragmented until the path MTU settles, and returns it."""
    with udp_socket(source) as client:
        client.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DO)
        client.connect((server, servers.ECHO))
        for _ in range(6):
            mtu = client.getsockopt(socket.IPPROTO_IP, _IP_MTU)
            try:
                client.send(bytes(mtu - 28))
                client.settimeout(patient(1.5))
                if len(client.recv(65536)) == mtu - 28:
                    return mtu
            except TimeoutError:
                raise AssertionError(f"no answer and no error at an MTU of {mtu}: a black hole") from None
            except OSError as error:
                if error.errno != errno.EMSGSIZE:
                    raise
    raise AssertionError(f"the path MTU did not settle, last {mtu}")


def traceroute(source: Namespace, target: str, *, icmp: bool) -> list[str]:
    """The hops on the way, `*` for a silent one."""
    options = ["-n", "-q", "1", "-w", f"{patient(5):g}", "-m", "8", "-I" if icmp else "-U"]
    out = source.run("traceroute", *options, target).stdout
    return [line.split()[1] for line in out.splitlines()[1:]]


@dataclass
class Opened:
    """Connections that are held open, and the attempts that failed."""

    sockets: list[socket.socket] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    """Which attempts failed altogether, counted from 0."""
    retried: list[int] = field(default_factory=list)
    """Which attempts needed a second SYN."""
    abort: bool = True
    """Whether to end with resets, which leave nothing in flight, rather than in good order."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        for each in self.sockets:
            if self.abort:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            each.close()

    def assert_alive(self) -> None:
        """Fails unless every connection still carries bytes both ways."""
        for number, each in enumerate(self.sockets):
            message = f"connection {number}".encode()
            each.sendall(message)
            got = each.recv(len(message))
            assert got == message, f"connection {number} answered {got!r}"


def repeat_syns(source: Namespace) -> None:
    """Has unanswered SYNs repeated every second, where the kernel can (since 6.5) without doubling the pause."""
    source.sysctl("ipv4/tcp_syn_retries", 100)
    if source.has_sysctl(_SYN_LINEAR_TIMEOUTS):
        source.sysctl(_SYN_LINEAR_TIMEOUTS, 100)


def hold(
    source: Namespace,
    targets: list[tuple[str, int]],
    *,
    timeout: float = 20,
    abort: bool = True,
    promised: bool = False,
) -> Opened:
    """Opens one connection per target and keeps all open, with at most `_PACE` handshakes under way at a time.

    Kernels before 6.5 double the pause between SYNs, whatever they are told; there, an attempt without an answer is
    given up after a second, as an impatient program does, and begun anew. `promised` times hold on slow machines too.
    """
    _raise_descriptor_limit()
    opened = Opened(abort=abort)
    waiting: dict[int, _Attempt] = {}
    poll = select.epoll()
    allowed = timeout if promised else patient(timeout)
    renewal = None if source.has_sysctl(_SYN_LINEAR_TIMEOUTS) else 1 if promised else patient(1)
    todo = list(enumerate(targets))[::-1]

    def begin(number: int, target: tuple[str, int], deadline: float, repeated: bool = False) -> None:
        client = source.socket(socket.AF_INET, socket.SOCK_STREAM)
        client.setblocking(False)
        client.connect_ex(target)
        waiting[client.fileno()] = _Attempt(number, target, client, time.monotonic(), deadline, repeated)
        poll.register(client, select.EPOLLOUT)

    def take(descriptor: int) -> _Attempt:
        attempt = waiting.pop(descriptor)
        poll.unregister(attempt.client)
        return attempt

    while todo or waiting:
        while todo and len(waiting) < _PACE:
            begin(*todo.pop(), time.monotonic() + allowed)
        for descriptor, _ in poll.poll(0.2):
            attempt = take(descriptor)
            client = attempt.client
            if client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0:
                opened.failed.append(attempt.number)
                client.close()
                continue
            client.settimeout(patient(5))
            opened.sockets.append(client)
            if attempt.repeated or _retransmissions(client):
                opened.retried.append(attempt.number)
        now = time.monotonic()
        for descriptor, attempt in list(waiting.items()):
            if now > attempt.deadline:
                take(descriptor).client.close()
                opened.failed.append(attempt.number)
            elif renewal is not None and now > attempt.begun + renewal:
                take(descriptor).client.close()
                begin(attempt.number, attempt.target, attempt.deadline, repeated=True)
    poll.close()
    return opened


@dataclass
class _Attempt:
    """A handshake under way."""

    number: int
    target: tuple[str, int]
    client: socket.socket
    begun: float
    deadline: float
    repeated: bool


def _retransmissions(client: socket.socket) -> int:
    info = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
    return struct.unpack_from("=I", info, _TOTAL_RETRANS)[0]


def _raise_descriptor_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 8192:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))


class Pinger:
    """Pings every 10 ms while something else happens, and tells the longest silence."""

    _REPLY = re.compile(rb"\[(\d+\.\d+)\].*icmp_seq=(\d+)")

    def __init__(self, source: Namespace, target: str) -> None:
        self._process = source.start(["ping", "-n", "-D", "-i", "0.01", target], output=subprocess.PIPE)
        self._replies: list[tuple[int, float]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        end(self._process)

    def stop(self) -> None:
        """Ends the pinging and reads what it saw."""
        self._process.send_signal(2)
        out, _ = self._process.communicate(timeout=patient(5))
        self._replies = [(int(match[2]), float(match[1])) for match in self._REPLY.finditer(out)]

    @property
    def count(self) -> int:
        return len(self._replies)

    @property
    def longest_silence(self) -> float:
        """Seconds between two consecutive replies, at most."""
        times = [when for _, when in self._replies]
        if len(times) < 2:
            return float("inf")
        return max(later - earlier for earlier, later in zip(times, times[1:]))

    @property
    def usual_gap(self) -> float:
        """The median between replies: proof that the measurement was as fine as intended."""
        times = [when for _, when in self._replies]
        return statistics.median(later - earlier for earlier, later in zip(times, times[1:]))


