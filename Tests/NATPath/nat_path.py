# SPDX-License-Identifier: GPL-3.0-or-later
"""Real packets through the NAT table of the calling network namespace.

    lan (192.168.77.2) --lan0--[ this namespace: the router, table inet routerd ]--softwire0--wire0-- inet
                                 192.168.77.1                         ADDR/32                     198.51.100.80

The "softwire" is a veth pair here, so that nothing of it is hidden: every packet that reaches `inet` is captured, and
its addresses, ports and checksums are checked by arithmetic that shares nothing with the table. The namespaces of lan
and inet have no names and end with their processes.

usage: nat_path.py ADDRESS OFFSET LENGTH PSID on|off [PORT PORT]
         LENGTH 0: the whole address; on: devices leave checksums to the hardware, off: they do not
         PORT PORT: the table forwards the first to port 8080 of lan, the second to port 8080 of the router

On success the last lines are `counter NAME PACKETS`: what the table must have counted.
"""

import ctypes
import errno
import multiprocessing
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

ADDRESS, OFFSET, LENGTH, PSID, OFFLOADS = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
FORWARDED = [int(word) for word in sys.argv[6:]]
SERVER = "198.51.100.80"
PROHIBITED = "198.51.100.99"
NARROW = "198.51.100.77"
LAN, ROUTER_LAN = "192.168.77.2", "192.168.77.1"
SO_NO_CHECK = 11


def is_ours(port):
    if port == 0 or OFFSET and port >> (16 - OFFSET) == 0:
        return False
    return (port >> (16 - OFFSET - LENGTH)) & ((1 << LENGTH) - 1) == PSID


WHOLE = LENGTH == 0
PORTS = [p for p in range(65536) if is_ours(p)]
FOREIGN_PORT = next((p for p in range(20000, 65536) if not is_ours(p)), None)
# The private port that the first port of the set stands for.
if PORTS[-1] - PORTS[0] + 1 == len(PORTS):
    FIRST_PRIVATE = PORTS[0]
elif OFFSET <= LENGTH:
    FIRST_PRIVATE = next(p for p in range(PORTS[0], 65536) if not is_ours(p))
else:
    FIRST_PRIVATE = 65536 - len(PORTS)


# --- Packets --------------------------------------------------------------------------------------------------


def internet_sum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def pseudo_header(source, destination, protocol, length):
    return socket.inet_aton(source) + socket.inet_aton(destination) + struct.pack("!BBH", 0, protocol, length)


def ipv4(source, destination, protocol, payload, options=b""):
    header = struct.pack(
        "!BBHHHBBH4s4s", 0x40 | 5 + len(options) // 4, 0, 20 + len(options) + len(payload), 7, 0, 64, protocol, 0,
        socket.inet_aton(source), socket.inet_aton(destination)) + options
    return header[:10] + struct.pack("!H", internet_sum(header)) + header[12:] + payload


def udp(source, destination, source_port, destination_port, data, checksum=True):
    header = struct.pack("!HHHH", source_port, destination_port, 8 + len(data), 0)
    value = internet_sum(pseudo_header(source, destination, 17, 8 + len(data)) + header + data) or 0xFFFF
    return header[:6] + struct.pack("!H", value if checksum else 0) + data


def icmp(kind, code, rest, data):
    packet = struct.pack("!BBHI", kind, code, 0, rest) + data
    return packet[:2] + struct.pack("!H", internet_sum(packet)) + packet[4:]


def whole(packets):
    """The packets with fragments put together (these come in order)."""
    result, started = [], {}
    for packet in packets:
        length, identification, fragment = struct.unpack("!HHH", packet[2:8])
        if fragment & 0x3FFF == 0:
            result.append(packet)
            continue
        data = started.pop(identification, b"") + packet[20:length]
        if fragment & 0x2000:
            started[identification] = data
        else:
            result.append(ipv4(socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20]), packet[9], data))
    return result


def complaint(packet):
    """What a border relay would have against a packet that left, or None."""
    if packet[0] != 0x45:
        return "options"
    protocol, payload = packet[9], packet[20:struct.unpack("!H", packet[2:4])[0]]
    source, destination = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
    if source != ADDRESS:
        return f"source {source}"
    if internet_sum(packet[:20]) != 0:
        return "header checksum"
    if protocol in (6, 17):
        port = struct.unpack("!H", payload[:2])[0]
        unused = protocol == 17 and payload[6:8] == b"\0\0"
        # With offloads the sum is the card's business, and there is no card.
        if OFFLOADS == "off" and not unused and internet_sum(
                pseudo_header(source, destination, protocol, len(payload)) + payload) != 0:
            return "checksum of TCP or UDP"
    elif protocol == 1:
        if internet_sum(payload) != 0:
            return "checksum of ICMP"
        if payload[0] in (0, 8):
            port = struct.unpack("!H", payload[4:6])[0]
        elif payload[17] == 1:
            port = struct.unpack("!H", payload[32:34])[0]
        else:
            port = struct.unpack("!H", payload[30:32])[0]
    else:
        return f"protocol {protocol}"
    return None if is_ours(port) else f"port {port} of protocol {protocol}"


# --- Nodes ----------------------------------------------------------------------------------------------------


class Node:
    """A process in a network namespace of its own that runs functions for the others."""

    def __init__(self):
        self.pipe, end = multiprocessing.Pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self.pipe.close()
            self.serve(end)
        end.close()
        self.pipe.recv()

    @staticmethod
    def serve(pipe):
        # CLONE_NEWNET
        if ctypes.CDLL(None, use_errno=True).unshare(0x40000000) != 0:
            os._exit(1)
        pipe.send(None)
        while True:
            try:
                function, arguments = pipe.recv()
            except EOFError:
                os._exit(0)
            try:
                pipe.send((function(*arguments), None))
            except BaseException as error:
                pipe.send((None, f"{function.__name__}{arguments}: {error!r}"))

    def start(self, function, *arguments):
        self.pipe.send((function, arguments))

    def finish(self):
        value, error = self.pipe.recv()
        if error:
            raise AssertionError(error)
        return value

    def __call__(self, function, *arguments):
        self.start(function, *arguments)
        return self.finish()

    def stop(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def sh(script):
    result = subprocess.run(["sh", "-ec", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode != 0:
        raise AssertionError(f"{script}\n{result.stdout}")
    return result.stdout


def silence(devices):
    """Full checksums in every packet, and a look at each of them on arrival."""
    if OFFLOADS == "off":
        for device in devices.split():
            sh(f"ethtool -K {device} tx off rx off tso off gso off gro off >/dev/null")


# --- inet -----------------------------------------------------------------------------------------------------

captured, peers, held = [], [], []


def start_inet():
    sh(f"""ip link set lo up; ip link set wire0 up; ip addr add {SERVER}/32 dev lo
           ip addr add 198.51.100.1/32 dev wire0; ip route add {ADDRESS}/32 dev wire0 mtu 1460 advmss 1460
           ip route add prohibit {PROHIBITED}/32
           ip link add narrow type veth peer name end; ip link set narrow mtu 1300 up; ip link set end up
           ip route add {NARROW}/32 dev narrow
           sysctl -qw net.ipv4.ip_forward=1""")
    silence("wire0")
    sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    sniffer.bind(("wire0", 0x0800))
    sniffer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)

    def sniff():
        while True:
            packet, origin = sniffer.recvfrom(65535)
            if origin[2] != socket.PACKET_OUTGOING:
                captured.append(packet)

    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((SERVER, 80))
    server.listen(2048)

    def accept():
        while True:
            connection, peer = server.accept()
            peers.append(peer)
            held.append(connection)
            data = connection.recv(64)
            connection.sendall(data)

    echoes = []
    for port, unchecked in ((7, 0), (8, 1)):
        echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        echo.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, unchecked)
        echo.bind((SERVER, port))
        echoes.append(echo)

    def answer():
        while True:
            for echo in select.select(echoes, [], [])[0]:
                data, peer = echo.recvfrom(2048)
                echo.sendto(data, peer)

    for job in (sniff, accept, answer):
        threading.Thread(target=job, daemon=True).start()


def take_captured():
    time.sleep(0.05)
    packets = whole(captured)
    captured.clear()
    return packets


def take_peers():
    taken = list(peers)
    peers.clear()
    for connection in held:
        connection.close()
    held.clear()
    return taken


def inject(packet):
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        raw.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))


def udp_to(port, source_port, hops=64):
    """Sends to the line, and returns the name of the error that it brought back."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.bind((SERVER, source_port))
        # IP_TTL; IP_RECVERR, for errors that are not the end of a connection.
        client.setsockopt(socket.SOL_IP, 2, hops)
        client.setsockopt(socket.SOL_IP, 11, 1)
        client.connect((ADDRESS, port))
        client.settimeout(2)
        client.send(b"anybody there?")
        try:
            client.recv(100)
            return "an answer"
        except OSError as error:
            return errno.errorcode.get(error.errno, "silence")


# --- lan, and the router itself -------------------------------------------------------------------------------


def start_lan():
    sh(f"""ip link set lo up; ip link set lan1 up; ip addr add {LAN}/24 dev lan1
           ip route add default via {ROUTER_LAN}""")
    silence("lan1")


def tcp_many(count):
    """Opens connections at once and keeps them; returns how many carried data both ways."""
    clients, poll = {}, select.poll()
    for number in range(count):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex((SERVER, 80))
        clients[client.fileno()] = client, b"%d" % number
        poll.register(client, select.POLLOUT)
    waiting, deadline, good = count, time.monotonic() + 20, 0
    while waiting and time.monotonic() < deadline:
        for descriptor, event in poll.poll(100):
            client, data = clients[descriptor]
            if event == select.POLLOUT:
                client.sendall(data)
                poll.modify(client, select.POLLIN)
                continue
            good += event == select.POLLIN and client.recv(64) == data
            waiting -= 1
            poll.unregister(client)
    for client, _ in clients.values():
        # RST, so that nothing of this is left at the server.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    return good


def udp_echo(port, unchecked):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, unchecked)
        client.settimeout(2)
        client.connect((SERVER, port))
        # An odd length, and long enough for several blocks of the sum.
        data = bytes(range(251))
        client.send(data)
        return client.recv(2048) == data


def udp_fragments():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(2)
        client.connect((SERVER, 7))
        # IP_MTU_DISCOVER = IP_PMTUDISC_DONT
        client.setsockopt(socket.SOL_IP, 10, 0)
        client.send(b"f" * 2000)
        return client.recv(4000) == b"f" * 2000


def udp_refused():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(2)
        client.connect((SERVER, 9))
        client.send(b"closed?")
        try:
            client.recv(10)
        except OSError as error:
            return errno.errorcode.get(error.errno, "silence")


def ping(destination, identifier):
    """Returns type and, for an answer, the identifier; for an error the identifier of the quoted ping."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, 1) as raw:
        raw.sendto(icmp(8, 0, identifier << 16 | 1, b"ping" * 8), (destination, 0))
        deadline = time.monotonic() + 2
        while select.select([raw], [], [], max(deadline - time.monotonic(), 0))[0]:
            packet = raw.recv(2048)
            body = packet[(packet[0] & 15) * 4:]
            if internet_sum(body) != 0:
                return "wrong checksum"
            if body[0] == 0:
                return 0, struct.unpack("!H", body[4:6])[0]
            if body[0] in (3, 11, 12):
                return body[0], struct.unpack("!H", body[32:34])[0]
        return "silence"


def path_mtu():
    """What a large packet to a host behind a narrow link brings back."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        # IP_MTU_DISCOVER = IP_PMTUDISC_DO
        client.setsockopt(socket.SOL_IP, 10, 2)
        client.connect((NARROW, 9))
        client.settimeout(2)
        client.send(bytes(1400))
        try:
            client.recv(10)
        except OSError as error:
            # IP_MTU
            return errno.errorcode.get(error.errno, "silence"), client.getsockopt(socket.SOL_IP, 14)


def segment_size():
    """The largest segment that a connection sends; without the bytes that timestamps take."""
    with socket.create_connection((SERVER, 80), 2) as client:
        client.sendall(b"x")
        client.recv(1)
        return client.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) + 12


kept = []


def open_and_keep():
    """A flow to the server that stays open; the port is the server's."""
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect((SERVER, 4243))
    client.send(b"first")
    kept.append(client)


def open_and_forget():
    """A flow to the server whose socket is closed: what comes back meets a closed port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((SERVER, 4242))
        client.send(b"first")


def serve(address):
    """TCP and UDP on port 8080 of this address, which tell a caller its address, and count the bytes of a datagram."""
    listener, datagrams = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for each in (listener, datagrams):
        each.bind((address, 8080))
    listener.listen(16)

    def accept():
        while True:
            connection, caller = listener.accept()
            connection.sendall(caller[0].encode())
            connection.close()

    def answer():
        while True:
            data, caller = datagrams.recvfrom(65536)
            datagrams.sendto(f"{caller[0]} {len(data)}".encode(), caller)

    for job in (accept, answer):
        threading.Thread(target=job, daemon=True).start()


def call(port, local, size=0):
    """What the service at our address and this port says; by UDP if a size is given."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if size else socket.SOCK_STREAM) as client:
        client.settimeout(2)
        client.bind((local, 0))
        # IP_MTU_DISCOVER = IP_PMTUDISC_DONT
        client.setsockopt(socket.SOL_IP, 10, 0)
        client.connect((ADDRESS, port))
        if size:
            client.send(bytes(size))
        return client.recv(100).decode()


# --- The story ------------------------------------------------------------------------------------------------

expected = {}


def count(name, number=1):
    expected[name] = expected.get(name, 0) + number


def check(what, value, wanted):
    if value != wanted:
        raise AssertionError(f"{what}: {value!r} instead of {wanted!r}")
    print(f"ok: {what}", flush=True)


def clean(inet, what):
    packets = inet(take_captured)
    check(f"{what}: nothing to complain about", sorted({c for c in map(complaint, packets) if c}), [])
    return packets


def story(lan, inet):
    check("ping", lan(ping, SERVER, 0x1234), (0, 0x1234))
    check("ping of the router itself", ping(SERVER, 0x1235), (0, 0x1235))
    check("the identifier of a ping in an error", lan(ping, PROHIBITED, 0x4321), (3, 0x4321))
    for who, run in (("lan", lan), ("router", lambda function, *arguments: function(*arguments))):
        check(f"{who}: UDP", run(udp_echo, 7, 0), True)
        check(f"{who}: UDP without checksum", run(udp_echo, 8, 1), True)
        check(f"{who}: UDP to a closed port", run(udp_refused), "ECONNREFUSED")
        check(f"{who}: UDP in fragments", run(udp_fragments), True)
    packets = clean(inet, "ping and UDP")
    check(
        "a UDP checksum of zero stays zero",
        [p[26:28] for p in packets if p[9] == 17 and p[22:24] == b"\0\x08"], [b"\0\0"] * 2)

    # The kernel looks at some ports only; of many ports the very last take it many SYNs to find.
    connections = min(len(PORTS) - len(FORWARDED), 850)
    check(f"{connections} of {len(PORTS)} connections at once", lan(tcp_many, connections), connections)
    taken = inet(take_peers)
    check("each has a port of its own", len({port for _, port in taken}), connections)
    check("all from our address", {address for address, _ in taken}, {ADDRESS})
    check("none of them is forwarded", {port for _, port in taken} & set(FORWARDED), set())
    clean(inet, "TCP")
    # Ports of closed connections are taken for some seconds more.
    sh("conntrack -F 2>/dev/null")
    check("connections of the router", tcp_many(10), 10)
    check("their ports", all(is_ours(port) for _, port in inet(take_peers)), True)
    clean(inet, "TCP of the router")

    check("the MTU of a narrow path", lan(path_mtu), ("EMSGSIZE", 1300))
    # The softwire's MTU is 1460, that of the other devices 1500.
    inet(take_captured)
    check("segments that fit the softwire", lan(segment_size), 1460 - 40)
    options = [p[40:44] for p in inet(take_captured) if p[9] == 6 and p[33] & 2]
    check("also for the far end", options, [struct.pack("!BBH", 2, 4, 1460 - 40)])
    inet(take_peers)

    # Errors that this side sends: the server's packet meets a closed port in the lan, or has no hops left.
    for opened, port, hops, name in (
            (open_and_forget, 4242, 64, "ECONNREFUSED"), (open_and_keep, 4243, 1, "EHOSTUNREACH")):
        lan(opened)
        sent = [p for p in inet(take_captured) if p[9] == 17][-1]
        check("an ICMP error towards the internet", inet(udp_to, struct.unpack("!H", sent[20:22])[0], port, hops), name)
        check("its source", {p[12:16] for p in clean(inet, "ICMP error")}, {socket.inet_aton(ADDRESS)})

    if FORWARDED:
        forwarded(lan, inet)

    # Pings from outside.
    echo = PORTS[100]
    inet(inject, ipv4(SERVER, ADDRESS, 1, icmp(8, 0, echo << 16 | 1, b"hello")))
    answers = [p for p in clean(inet, "ping from outside") if p[9] == 1]
    check("the answer has the identifier", [struct.unpack("!H", p[24:26])[0] for p in answers], [echo])

    unwanted(lan, inet)


def forwarded(lan, inet):
    """From the internet, from the lan, from the router itself; to the lan and to the router."""
    to_lan, to_router = FORWARDED
    lan(serve, LAN)
    serve(ROUTER_LAN)
    for port in FORWARDED:
        for size in (0, 10, 3000):
            told = f" {size}" if size else ""
            check(f"port {port} from the internet, size {size}", inet(call, port, SERVER, size), f"{SERVER}{told}")
    clean(inet, "forwarded ports")
    for size, told in ((0, ""), (10, " 10")):
        check(f"from the lan to the lan, size {size}", lan(call, to_lan, LAN, size), f"{ROUTER_LAN}{told}")
        check(f"from the lan to the router, size {size}", lan(call, to_router, LAN, size), f"{LAN}{told}")
        check(f"from the router to the lan, size {size}", call(to_lan, ADDRESS, size), f"{ROUTER_LAN}{told}")
        check(f"from the router to itself, size {size}", call(to_router, ADDRESS, size), f"{ROUTER_LAN}{told}")
    check("none of it left", inet(take_captured), [])


def unwanted(lan, inet):
    """What must not come in or go out, and what it is counted as."""
    # Nothing of it may belong to a connection by chance.
    sh("conntrack -F 2>/dev/null")

    def send(packet, counter):
        inet(inject, packet)
        if counter:
            count(counter)

    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("0.0.0.0", FIRST_PRIVATE))
    data = b"knock"
    # A service of the router on the private port that the first real port stands for.
    send(ipv4(SERVER, ADDRESS, 17, udp(SERVER, ADDRESS, 5, PORTS[0], data)), "unsolicited")
    # A TCP segment out of the blue (an ACK), which connection tracking would take up as a new connection.
    segment = struct.pack("!HHIIBBHHH", 80, PORTS[3], 1, 1, 0x50, 0x10, 1000, 0, 0)
    value = internet_sum(pseudo_header(SERVER, ADDRESS, 6, 20) + segment)
    send(ipv4(SERVER, ADDRESS, 6, segment[:16] + struct.pack("!H", value) + segment[18:]), "unsolicited")
    # Protocols and ICMP types that cannot share an address.
    send(ipv4(SERVER, ADDRESS, 47, bytes(8)), "unsolicited" if WHOLE else "protocol_without_ports")
    send(
        ipv4(SERVER, ADDRESS, 1, icmp(13, 0, PORTS[0] << 16, bytes(12))),
        "unsolicited" if WHOLE else "protocol_without_ports")
    # Errors: about ports that are not ours, about options, about a connection that does not exist.
    def error_about(port, options=b"", protocol=17, source=ADDRESS):
        quoted = ipv4(source, SERVER, protocol, udp(source, SERVER, port, 9, b""), options)
        return ipv4(SERVER, ADDRESS, 1, icmp(3, 3, 0, quoted))

    send(error_about(PORTS[0], options=b"\x01" * 4), "unsolicited" if WHOLE else "inner_header_options")
    send(error_about(PORTS[5]), "unsolicited")
    send(error_about(PORTS[5], protocol=47), "unsolicited" if WHOLE else "outside_port_set_in")
    if not WHOLE:
        send(error_about(FOREIGN_PORT), "outside_port_set_in")
        for port in {FOREIGN_PORT, FIRST_PRIVATE, PORTS[-1] + 1, PORTS[0] - 1} - set(PORTS):
            send(ipv4(SERVER, ADDRESS, 17, udp(SERVER, ADDRESS, 5, port, data)), "outside_port_set_in")
            send(ipv4(SERVER, ADDRESS, 1, icmp(8, 0, port << 16 | 1, data)), "outside_port_set_in")
    # Not to our address, whoever it belongs to: as if a relay sent us what is another's, or the lan's own.
    for other in ("203.0.113.5", LAN):
        inet(sh, f"ip route replace {other}/32 via {ADDRESS} dev wire0 onlink")
        send(ipv4(SERVER, other, 17, udp(SERVER, other, 5, PORTS[0], data)), "wrong_inner_destination")
    time.sleep(0.1)
    check("nothing reached the service on the private port", select.select([listener], [], [], 0)[0], [])
    listener.close()
    inet(take_captured)

    # Out: the router writes packets itself, past its own sockets.
    def leak(packet, counter):
        count(counter)
        try:
            inject(packet)
        except PermissionError:
            return
        raise AssertionError(f"the router may send what {counter} should have dropped")

    # A TCP RST of no connection is invalid, so nothing translates it.
    reset = struct.pack("!HHIIBBHHH", FOREIGN_PORT or 1, 80, 1, 1, 0x50, 0x04, 0, 0, 0)
    for source in (ROUTER_LAN,) if WHOLE else (ROUTER_LAN, ADDRESS):
        value = internet_sum(pseudo_header(source, SERVER, 6, 20) + reset)
        leak(ipv4(source, SERVER, 6, reset[:16] + struct.pack("!H", value) + reset[18:]), "outside_port_set_out")
    if not WHOLE:
        leak(ipv4(ADDRESS, SERVER, 47, bytes(8)), "protocol_without_ports")
        quoted = ipv4(SERVER, ADDRESS, 17, udp(SERVER, ADDRESS, 9, FOREIGN_PORT, b""), b"\x01" * 4)
        leak(ipv4(ADDRESS, SERVER, 1, icmp(3, 3, 0, quoted)), "inner_header_options")
        leak(ipv4(ADDRESS, SERVER, 1, icmp(5, 0, 0, quoted)), "protocol_without_ports")
    check("nothing of it left", inet(take_captured), [])


def main():
    signal.alarm(60)
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    lan, inet = Node(), Node()
    try:
        sh(f"""ip link set lo up
               ip link add lan0 type veth peer name lan1 netns {lan.pid}
               ip link add softwire0 type veth peer name wire0 netns {inet.pid}
               ip link set lan0 up; ip link set softwire0 mtu 1460 up
               ip addr add {ROUTER_LAN}/24 dev lan0; ip addr add {ADDRESS}/32 dev softwire0
               ip route add 198.51.100.1/32 dev softwire0 src {ADDRESS}
               ip route add default via 198.51.100.1 dev softwire0 src {ADDRESS}
               sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.softwire0.rp_filter=0""")
        silence("lan0 softwire0")
        lan(start_lan)
        inet(start_inet)
        story(lan, inet)
    finally:
        lan.stop()
        inet.stop()
    for name, number in sorted(expected.items()):
        print("counter", name, number)


main()
