// SPDX-License-Identifier: GPL-3.0-or-later
// The loop of the border relay.
#include "relay.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "checksum.h"
#include "judge.h"
#include "route.h"
#include "transmit.h"
#include "tun.h"

#ifndef IPV6_RECVFRAGSIZE
#define IPV6_RECVFRAGSIZE 77 // in the kernel since 4.12, not in every libc
#endif

enum { RECEIVE_BATCH = 64, ROUNDS = 4, STATS_INTERVAL_MS = 200, EXPIRE_INTERVAL_MS = 250 };
enum { SOCKET_BUFFER = 64 << 20, CONTROL_BYTES = 512 };

struct relay {
    struct options *options;
    struct stats stats;
    struct judge judge;
    struct router router;
    struct subscriber_table *subscribers;
    struct transmit transmit;
    int socket, tun, signals;
    int64_t stats_due, expire_due;
    struct verdict verdict;
    uint8_t *buffers; // RECEIVE_BATCH times PACKET_MAX + 1
    struct mmsghdr messages[RECEIVE_BATCH];
    struct iovec vectors[RECEIVE_BATCH];
    struct sockaddr_in6 senders[RECEIVE_BATCH];
    union {
        struct cmsghdr align;
        uint8_t bytes[CONTROL_BYTES];
    } control[RECEIVE_BATCH];
};

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// One socket for every local address: a packet to an address that is no relay of ours would otherwise be answered by
// the kernel and never be seen, and it is a violation to count. As long as it is open, the kernel sends no Parameter
// Problem for protocol 4 — except when its buffer is full, so that is made large.
static int open_socket(void) {
    int fd = socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_IPIP);
    if (fd < 0) {
        perror("labbr: raw socket");
        return -1;
    }
    static const int wanted[] = {IPV6_RECVPKTINFO, IPV6_RECVHOPLIMIT, IPV6_RECVTCLASS,   IPV6_RECVFRAGSIZE,
                                 IPV6_RECVDSTOPTS, IPV6_RECVHOPOPTS,  IPV6_RECVRTHDR};
    int on = 1, size = SOCKET_BUFFER;
    for (unsigned i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        if (setsockopt(fd, IPPROTO_IPV6, wanted[i], &on, sizeof on) < 0) {
            perror("labbr: raw socket option");
            close(fd);
            return -1;
        }
    }
    // A spoofed --reply-from is no address of this host.
    if (setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) < 0) {
        perror("labbr: raw socket option");
        close(fd);
        return -1;
    }
    return fd;
}

static int open_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0) return -1;
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static void read_outer(const struct msghdr *header, const struct sockaddr_in6 *sender, struct outer *out) {
    *out = (struct outer){
        .source = addr6_from_wire(sender->sin6_addr.s6_addr),
        .hop_limit = -1,
        .traffic_class = -1,
        .cut = (header->msg_flags & MSG_TRUNC) != 0,
    };
    struct in6_pktinfo info;
    struct msghdr *mutable = (struct msghdr *)header; // CMSG_NXTHDR wants it so
    for (struct cmsghdr *message = CMSG_FIRSTHDR(mutable); message != NULL; message = CMSG_NXTHDR(mutable, message)) {
        if (message->cmsg_level != IPPROTO_IPV6) continue;
        switch (message->cmsg_type) {
        case IPV6_PKTINFO:
            memcpy(&info, CMSG_DATA(message), sizeof info);
            out->destination = addr6_from_wire(info.ipi6_addr.s6_addr);
            break;
        case IPV6_HOPLIMIT:
            memcpy(&out->hop_limit, CMSG_DATA(message), sizeof(int));
            break;
        case IPV6_TCLASS:
            memcpy(&out->traffic_class, CMSG_DATA(message), sizeof(int));
            break;
        case IPV6_RECVFRAGSIZE:
            memcpy(&out->fragment_size, CMSG_DATA(message), sizeof(int));
            break;
        case IPV6_DSTOPTS:
        case IPV6_HOPOPTS:
        case IPV6_RTHDR:
            out->has_options = true;
            break;
        default:
            break;
        }
    }
}

static bool is_ignored(const struct relay *relay, struct addr6 destination) {
    for (unsigned i = 0; i < relay->options->ignored_count; i++) {
        if (addr6_equal(relay->options->ignored[i], destination)) return true;
    }
    return false;
}

// Puts one packet, in the current transmit buffer, on its way to a CE or B4.
static void send_down(struct relay *relay, const struct ipv4 *packet, int64_t now) {
    struct addr6 target;
    bool released = false;
    if (relay->subscribers != NULL) {
        if (subscriber_find(relay->subscribers, packet->destination, &target)) {
            transmit_queue(&relay->transmit, packet->length, target);
        } else {
            info_add(&relay->stats, INFO_NO_CE, 1);
        }
        return;
    }
    enum route_result result = route_packet(&relay->router, packet, now, &target, &released);
    // Queueing hands the buffer over, so what the key of the waiting ones needs is copied first.
    struct ipv4 first = *packet;
    first.data = first.payload = NULL;
    if (result == ROUTE_FOUND) transmit_queue(&relay->transmit, packet->length, target);
    if (result == ROUTE_NO_CE) info_add(&relay->stats, INFO_NO_CE, 1);
    if (!released) return;
    for (;;) {
        uint8_t *buffer = transmit_buffer(&relay->transmit);
        size_t length = route_next_waiting(&relay->router, &first, buffer);
        if (length == 0) break;
        if (result == ROUTE_FOUND) {
            transmit_queue(&relay->transmit, length, target);
        } else {
            info_add(&relay->stats, INFO_NO_CE, 1);
        }
    }
}

// A packet from one CE to another comes back here (RFC 7597 section 8.1: the relay forwards between CEs of its domain).
// The relay is a router in between, so it takes one from the TTL.
static void hairpin(struct relay *relay, const uint8_t *data, size_t length, int64_t now) {
    struct ipv4 packet;
    uint8_t *buffer = transmit_buffer(&relay->transmit);
    memcpy(buffer, data, length);
    uint16_t before = load16(buffer + 8);
    buffer[8]--;
    store16(buffer + 10, checksum_update(load16(buffer + 10), before, load16(buffer + 8)));
    if (!ipv4_parse(buffer, length, &packet)) return;
    info_add(&relay->stats, INFO_HAIRPIN, 1);
    send_down(relay, &packet, now);
}

// One packet of a CE that may go on.
static void send_up(struct relay *relay, uint8_t *data, size_t length, int64_t now) {
    info_add(&relay->stats, INFO_UPLINK_FORWARDED, 1);
    // With a TTL of 1 the packet ends here; the kernel behind the TUN device says so to the sender.
    if (relay->subscribers == NULL && data[8] > 1 && rule_for_ipv4(&relay->options->rules, load32(data + 16)) != NULL) {
        hairpin(relay, data, length, now);
        return;
    }
    if (write(relay->tun, data, length) != (ssize_t)length) info_add(&relay->stats, INFO_TUN_ERRORS, 1);
}

// Takes one batch of packets from CEs. False when there was less than a full batch.
static bool uplink(struct relay *relay) {
    for (unsigned i = 0; i < RECEIVE_BATCH; i++) {
        relay->messages[i].msg_hdr = (struct msghdr){
            .msg_name = &relay->senders[i],
            .msg_namelen = sizeof relay->senders[i],
            .msg_iov = &relay->vectors[i],
            .msg_iovlen = 1,
            .msg_control = relay->control[i].bytes,
            .msg_controllen = CONTROL_BYTES,
        };
    }
    int count = recvmmsg(relay->socket, relay->messages, RECEIVE_BATCH, MSG_DONTWAIT, NULL);
    if (count <= 0) return false;
    int64_t now = now_ms();
    for (int i = 0; i < count; i++) {
        struct outer outer;
        read_outer(&relay->messages[i].msg_hdr, &relay->senders[i], &outer);
        if (is_ignored(relay, outer.destination)) continue;
        judge_packet(&relay->judge, &outer, relay->vectors[i].iov_base, relay->messages[i].msg_len, now,
                     &relay->verdict);
        for (unsigned p = 0; p < relay->verdict.count; p++) {
            send_up(relay, relay->verdict.packets[p].data, relay->verdict.packets[p].length, now);
        }
    }
    transmit_flush(&relay->transmit);
    return count == RECEIVE_BATCH;
}

// Takes up to one batch of packets from the Internet. False when there are no more.
static bool downlink(struct relay *relay) {
    int64_t now = now_ms();
    bool more = true;
    for (unsigned i = 0; i < TRANSMIT_BATCH; i++) {
        uint8_t *buffer = transmit_buffer(&relay->transmit);
        ssize_t length = read(relay->tun, buffer, PACKET_MAX + 1);
        if (length <= 0) {
            more = false;
            break;
        }
        struct ipv4 packet;
        // The kernel also says things in IPv6 on a new interface (router solicitations, multicast reports).
        if (!ipv4_parse(buffer, (size_t)length, &packet)) continue;
        info_add(&relay->stats, INFO_DOWNLINK_PACKETS, 1);
        info_add(&relay->stats, INFO_DOWNLINK_BYTES, packet.length);
        info_add(&relay->stats, packet.protocol == IPPROTO_TCP    ? INFO_DOWNLINK_TCP
                                : packet.protocol == IPPROTO_UDP  ? INFO_DOWNLINK_UDP
                                : packet.protocol == IPPROTO_ICMP ? INFO_DOWNLINK_ICMP
                                                                  : INFO_DOWNLINK_OTHER, 1);
        send_down(relay, &packet, now);
    }
    transmit_flush(&relay->transmit);
    return more;
}

static void write_stats(struct relay *relay, int64_t now) {
    if (relay->subscribers != NULL && relay->subscribers->clashes > 0) {
        info_add(&relay->stats, INFO_B4_CLASH, relay->subscribers->clashes);
        relay->subscribers->clashes = 0;
    }
    if (!stats_write(&relay->stats, relay->options->stats_path, relay->subscribers)) {
        fprintf(stderr, "labbr: %s: cannot be written: %s\n", relay->options->stats_path, strerror(errno));
    }
    relay->stats_due = now + STATS_INTERVAL_MS;
}

static void expire(struct relay *relay, int64_t now) {
    if (now < relay->expire_due) return;
    relay->expire_due = now + EXPIRE_INTERVAL_MS;
    judge_expire(&relay->judge, now);
    route_expire(&relay->router, now);
    if (relay->router.expired > 0) {
        info_add(&relay->stats, INFO_FRAGMENTS_EXPIRED, relay->router.expired);
        relay->router.expired = 0;
    }
}

// Takes what is queued from CEs; bounded, since somebody may go on sending.
static void drain(struct relay *relay) {
    enum { BATCHES_MAX = 1024 };
    for (unsigned batch = 0; batch < BATCHES_MAX && uplink(relay); batch++) {
    }
}

// False when it is time to go.
static bool handle_signals(struct relay *relay) {
    struct signalfd_siginfo signal;
    while (read(relay->signals, &signal, sizeof signal) == (ssize_t)sizeof signal) {
        if (signal.ssi_signo == SIGTERM || signal.ssi_signo == SIGINT) return false;
        if (signal.ssi_signo == SIGUSR2) {
            // What is queued in the socket was sent before the reset and belongs to the time before it.
            drain(relay);
            stats_reset(&relay->stats);
        }
        write_stats(relay, now_ms());
    }
    return true;
}

static void loop(struct relay *relay) {
    struct pollfd events[] = {
        {.fd = relay->socket, .events = POLLIN},
        {.fd = relay->tun, .events = POLLIN},
        {.fd = relay->signals, .events = POLLIN},
    };
    for (;;) {
        // Wakes four times a second even when idle, for the fragments that nobody completes.
        if (poll(events, 3, relay->stats.changed ? STATS_INTERVAL_MS / 4 : EXPIRE_INTERVAL_MS) < 0 && errno != EINTR) {
            perror("labbr: poll");
            return;
        }
        // A few batches each way in turn, so that neither direction starves the other.
        for (unsigned round = 0; round < ROUNDS && uplink(relay); round++) {
        }
        for (unsigned round = 0; round < ROUNDS && downlink(relay); round++) {
        }
        if (!handle_signals(relay)) break;
        int64_t now = now_ms();
        expire(relay, now);
        if (relay->stats.changed && now >= relay->stats_due) write_stats(relay, now);
    }
    drain(relay); // count what came before the signal
}

static bool prepare(struct relay *relay, struct options *options) {
    relay->options = options;
    relay->socket = relay->tun = relay->signals = -1;
    if (options->mode == MODE_AFTR) relay->subscribers = calloc(1, sizeof *relay->subscribers);
    relay->buffers = malloc((size_t)RECEIVE_BATCH * (PACKET_MAX + 1));
    relay->router.rules = &options->rules;
    if ((options->mode == MODE_AFTR && relay->subscribers == NULL) || relay->buffers == NULL ||
        !stats_init(&relay->stats, options->mode == MODE_AFTR ? "aftr" : "map-e") ||
        !judge_init(&relay->judge, options, &options->rules, &relay->stats, relay->subscribers)) {
        fprintf(stderr, "labbr: out of memory\n");
        return false;
    }
    for (unsigned i = 0; i < RECEIVE_BATCH; i++) {
        relay->vectors[i] =
            (struct iovec){.iov_base = relay->buffers + (size_t)i * (PACKET_MAX + 1), .iov_len = PACKET_MAX + 1};
    }
    relay->signals = open_signals();
    relay->socket = open_socket();
    if (relay->signals < 0 || relay->socket < 0) return false;
    relay->tun = tun_open(options->tun, options->mtu);
    if (relay->tun < 0) return false;
    struct addr6 source = options->reply_from_given ? options->reply_from : options->relays[0];
    if (!transmit_init(&relay->transmit, relay->socket, source, &relay->stats)) {
        fprintf(stderr, "labbr: out of memory\n");
        return false;
    }
    return true;
}

int relay_run(struct options *options) {
    static struct relay relay;
    // The process ends with this function, and the kernel takes back memory, descriptors and the TUN device.
    if (!prepare(&relay, options)) return 1;
    write_stats(&relay, now_ms());
    fprintf(stderr, "labbr: ready\n");
    loop(&relay);
    write_stats(&relay, now_ms());
    return 0;
}
