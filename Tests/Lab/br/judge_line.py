# SPDX-License-Identifier: GPL-3.0-or-later
"""Three namespaces in a row for the tests of the judge: ce - isp - inet. Nothing of the product runs in them."""

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
# LAB_BUILD points the tests at another build, such as one with sanitizers.
BUILD = Path(os.environ.get("LAB_BUILD") or HERE.parents[2] / "build" / "lab")
LABBR = BUILD / "labbr"
LABPLANT = BUILD / "labplant"

RULE = "2404:7a82:4c00::/38,133.209.12.0/22,ea=18,offset=4,psid=8,iid=draft-03"
ONE_TO_ONE = "2001:db8:ab:cd00::/56,192.0.2.1/32,ea=0,offset=0,psid=0,iid=draft-03"
RELAYS = ("2001:260:700:1::1:275", "2001:260:700:1::1:276")
SPARE = "2001:260:700:1::1:999"  # an address of the provider that is no relay
CE = "2404:7a82:4d02:4100:85:d10d:200:4100"
NEIGHBOUR = "2404:7a82:4d02:4200:85:d10d:200:4200"  # the next PSID of the same IPv4 address
ONE_TO_ONE_CE = "2001:db8:ab:cd00:c0:2:100:0"
B4 = ("2001:db8:ffff::b4", "2001:db8:ffff::b5")

CLONE_NEWNET = 0x40000000
ETH_P_IP = 0x0800
IPV6_RECVPKTINFO, IPV6_PKTINFO = 49, 50
IPV6_RECVHOPLIMIT, IPV6_HOPLIMIT = 51, 52
IPV6_RECVTCLASS, IPV6_TCLASS = 66, 67

libc = ctypes.CDLL(None, use_errno=True)


def run(*command, check=True):
    return subprocess.run(command, check=check, capture_output=True, text=True, timeout=30)


@contextlib.contextmanager
def inside(namespace):
    """Sockets made in this block belong to the namespace for as long as they live."""

    def enter(fd):
        if libc.setns(fd, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        enter(there)
        yield
    finally:
        enter(home)
        os.close(there)
        os.close(home)


class Lines:
    """The namespaces with their addresses and routes. Removed by close()."""

    def __init__(self, relays, spare, ce_addresses, ce_prefixes):
        mark = os.getpid()
        self.ce, self.isp, self.inet = (f"judge-{part}-{mark}" for part in ("ce", "isp", "inet"))
        self.made = []
        try:
            self._build(relays, spare, ce_addresses, ce_prefixes)
        except BaseException:
            self.close()
            raise

    def _build(self, relays, spare, ce_addresses, ce_prefixes):
        for name in (self.ce, self.isp, self.inet):
            run("ip", "netns", "add", name)
            self.made.append(name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        for a, a_dev, b, b_dev in (
            (self.ce, "wan0", self.isp, "acc0"),
            (self.isp, "core0", self.inet, "eth0"),
        ):
            run("ip", "-n", a, "link", "add", a_dev, "type", "veth", "peer", "name", b_dev, "netns", b)
            for name, device in ((a, a_dev), (b, b_dev)):
                run("ip", "-n", name, "link", "set", device, "up")
        address = lambda name, device, text: run(
            "ip", "-n", name, "address", "add", text, "dev", device, *(["nodad"] if ":" in text else [])
        )
        address(self.ce, "wan0", "2001:db8:ffff::2/64")
        address(self.isp, "acc0", "2001:db8:ffff::1/64")
        address(self.isp, "core0", "198.51.100.1/24")
        address(self.inet, "eth0", "198.51.100.2/24")
        for text in ce_addresses:
            address(self.ce, "wan0", text + "/128")
        for text in (*relays, spare):
            address(self.isp, "lo", text + "/128")
        route = lambda name, *words: run("ip", "-n", name, "route", "add", *words)
        route(self.ce, "default", "via", "2001:db8:ffff::1")
        route(self.inet, "default", "via", "198.51.100.1")
        for prefix in ce_prefixes:
            route(self.isp, prefix, "via", "2001:db8:ffff::2")
        self.sysctl(self.isp, "net.ipv4.ip_forward", 1)
        for name in (self.isp, self.inet):
            for scope in ("all", "default"):
                self.sysctl(name, f"net.ipv4.conf.{scope}.rp_filter", 0)

    @staticmethod
    def sysctl(name, key, value):
        path = "/proc/sys/" + key.replace(".", "/")
        run("ip", "netns", "exec", name, "sh", "-c", f"echo {value} > {path}")

    def close(self):
        for name in self.made:
            run("ip", "netns", "delete", name, check=False)

    def plant(self, *words, where=None):
        """Runs labplant, from the CE's side unless told otherwise."""
        command = [str(word) for word in words]
        result = run("ip", "netns", "exec", where or self.ce, str(LABPLANT), *command, check=False)
        assert result.returncode == 0, f"labplant {' '.join(command)}: {result.stderr}"

    def plant_down(self, *words):
        self.plant("--plain", *words, where=self.inet)


class Judge:
    """A running labbr."""

    def __init__(self, namespace, folder, *options, tun="br0", routes=()):
        self.path = Path(folder) / f"{tun}.json"
        self.path.unlink(missing_ok=True)
        command = ["ip", "netns", "exec", namespace, str(LABBR), "--tun", tun, "--stats", str(self.path), *options]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        # The statistics are there only after socket and device are.
        self._wait(lambda: self.path.exists(), "labbr did not start")
        for prefix in routes:
            run("ip", "-n", namespace, "route", "add", prefix, "dev", tun)

    def _wait(self, condition, what, seconds=5.0):
        end = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None:
                raise AssertionError(f"{what}: exit {self.process.returncode}: {self.process.stderr.read()}")
            assert time.monotonic() < end, what
            time.sleep(0.005)

    def read(self):
        return json.loads(self.path.read_text())

    def _signal(self, number):
        before = self.read()["sequence"]
        self.process.send_signal(number)
        self._wait(lambda: self.read()["sequence"] > before, f"no statistics after signal {number}")
        return self.read()

    def stats(self, **wanted):
        """Fresh statistics, once the info counters named here (with _ for -) have reached their figure."""
        end = time.monotonic() + 5
        while True:
            stats = self._signal(signal.SIGUSR1)
            info = {name.replace("-", "_"): value for name, value in stats["info"].items()}
            if all(info[name] >= value for name, value in wanted.items()):
                return stats
            assert time.monotonic() < end, f"waited for {wanted}, have {stats['info']}"
            time.sleep(0.005)

    def reset(self):
        return self._signal(signal.SIGUSR2)

    def stop(self):
        """Ends it; returns the exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


class Wire:
    """Sees IPv4 packets that come in on a device."""

    def __init__(self, namespace, device):
        with inside(namespace):
            kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
            self.socket = socket.socket(socket.AF_PACKET, kind, socket.htons(ETH_P_IP))
            self.socket.bind((device, ETH_P_IP))

    def take(self, count, seconds=3.0):
        """The next packets, at most `count`; fewer when no more come in time."""
        packets = []
        end = time.monotonic() + seconds
        while len(packets) < count and select.select([self.socket], [], [], max(0, end - time.monotonic()))[0]:
            data, address = self.socket.recvfrom(65535)
            if address[2] != socket.PACKET_OUTGOING:
                packets.append(data)
        return packets

    def nothing(self, seconds=0.15):
        assert self.take(1, seconds) == []

    def close(self):
        self.socket.close()


class TunnelEnd:
    """The CE's end: gets (source, destination, hop limit, traffic class, inner packet) of what the relay sends."""

    def __init__(self, namespace):
        with inside(namespace):
            self.socket = socket.socket(socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_IPIP)
            # A socket of the namespace with a free choice of source, for packets made here.
            self.raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
        for option in (IPV6_RECVPKTINFO, IPV6_RECVHOPLIMIT, IPV6_RECVTCLASS):
            self.socket.setsockopt(socket.IPPROTO_IPV6, option, 1)

    def send(self, source, destination, inner, hop_limit=64):
        header = struct.pack("!IHBB", 6 << 28 | inner[1] << 20, len(inner), socket.IPPROTO_IPIP, hop_limit)
        header += socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, destination)
        self.raw.sendto(header + inner, (destination, 0))

    def take(self, count, seconds=3.0):
        packets = []
        end = time.monotonic() + seconds
        while len(packets) < count and select.select([self.socket], [], [], max(0, end - time.monotonic()))[0]:
            data, control, _, sender = self.socket.recvmsg(65535, 512)
            values = {kind: value for level, kind, value in control if level == socket.IPPROTO_IPV6}
            destination = socket.inet_ntop(socket.AF_INET6, values[IPV6_PKTINFO][:16])
            hop_limit, traffic_class = (struct.unpack("i", values[kind])[0] for kind in (IPV6_HOPLIMIT, IPV6_TCLASS))
            packets.append((sender[0], destination, hop_limit, traffic_class, data))
        return packets

    def nothing(self, seconds=0.15):
        assert self.take(1, seconds) == []

    def close(self):
        self.socket.close()
        self.raw.close()
