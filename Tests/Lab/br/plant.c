// SPDX-License-Identifier: GPL-3.0-or-later
// labplant: sends one kind of crafted packet, with any outer source, or without an outer header from the Internet side.
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "craft.h"

static const char usage[] =
    "labplant --outer-src ADDR --outer-dst ADDR INNER [options]     IPv4 in IPv6, from any source address\n"
    "labplant --plain INNER [options]                               the IPv4 packet alone\n"
    "\n"
    "  INNER is --inner-src A --inner-dst A --proto KIND [--sport N] [--dport N], or --hex BYTES (all of the packet).\n"
    "  KIND is udp, tcp, icmp-echo, icmp-echo-reply, icmp-unreach, icmp-too-big, icmp-exceeded, gre, esp or a number.\n"
    "  An echo's identifier is --sport. An ICMP error speaks of the reverse flow: a packet from inner-dst, port dport,\n"
    "  to inner-src, port sport; --embedded-src, --embedded-dst, --embedded-proto (udp, tcp, icmp, NUMBER) change that.\n"
    "\n"
    "  --payload N            bytes behind the transport header (default 32)\n"
    "  --ttl N --tos N --identification N --df --next-mtu N\n"
    "  --bad-checksum ip|l4   (the kernel mends `ip` with --plain)\n"
    "  --zero-checksum        UDP without a checksum\n"
    "  --options              IPv4 options: on the embedded header of an ICMP error, else on the packet's own\n"
    "  --truncate N           leave out the last N bytes of the packet\n"
    "  --fragment N           IPv4 fragments with N bytes of payload each; --reverse sends the last one first;\n"
    "                         --only N sends nothing but fragment N, counted from 0 as sent\n"
    "  --hop-limit N --traffic-class N --encap-limit     of the outer header\n"
    "  --outer-fragment N     IPv6 fragments with N bytes of payload each\n"
    "  --count N              send all of it N times, with IPv4 identifications counted up\n";

enum { BATCH = 64, BATCH_BYTES = 4 << 20 };

struct plant {
    struct craft craft;
    struct craft_outer outer;
    bool plain, outer_source_given, outer_destination_given;
    bool inner_source_given, inner_destination_given, kind_given;
    const char *hex;
    size_t truncate, fragment;
    bool reverse;
    long only;
    unsigned long count;
    // sending
    int socket;
    long fragment_index;
    unsigned queued;
    size_t used;
    uint8_t *bytes;
    struct mmsghdr messages[BATCH];
    struct iovec vectors[BATCH];
    struct sockaddr_storage target;
    socklen_t target_length;
    uint8_t inner[CRAFT_MAX];
};

static void die(const char *what, const char *value) {
    fprintf(stderr, "labplant: %s: %s\n", what, value);
    exit(2);
}

static unsigned long number(const char *text, unsigned long max) {
    unsigned long value;
    if (!number_parse(text, max, &value)) die("number out of range", text);
    return value;
}

static bool take6(const char *text, struct addr6 *out) {
    if (!addr6_parse(text, out)) die("not an IPv6 address", text);
    return true;
}

static bool take4(const char *text, uint32_t *out) {
    if (!addr4_parse(text, out)) die("not an IPv4 address", text);
    return true;
}

// A multiple of 8, as both kinds of fragments want it.
static size_t fragment_size(const char *text) {
    unsigned long size = number(text, 65528);
    if (size == 0 || size % 8 != 0) die("not a multiple of 8", text);
    return size;
}

static void take_kind(const char *text, struct craft *craft) {
    static const char *const names[] = {"udp",          "tcp",          "icmp-echo",    "icmp-echo-reply",
                                        "icmp-unreach", "icmp-too-big", "icmp-exceeded"};
    for (unsigned i = 0; i < CRAFT_OTHER; i++) {
        if (strcmp(text, names[i]) != 0) continue;
        craft->kind = (enum craft_kind)i;
        return;
    }
    craft->kind = CRAFT_OTHER;
    craft->protocol = strcmp(text, "gre") == 0   ? IPPROTO_GRE
                      : strcmp(text, "esp") == 0 ? IPPROTO_ESP
                                                 : (uint8_t)number(text, 255);
}

static uint8_t embedded_protocol(const char *text) {
    if (strcmp(text, "udp") == 0) return IPPROTO_UDP;
    if (strcmp(text, "tcp") == 0) return IPPROTO_TCP;
    if (strcmp(text, "icmp") == 0) return IPPROTO_ICMP;
    return (uint8_t)number(text, 255);
}

static void take_bad_checksum(const char *text, struct craft *craft) {
    if (strcmp(text, "ip") == 0) {
        craft->bad_ip_checksum = true;
    } else if (strcmp(text, "l4") == 0) {
        craft->bad_transport_checksum = true;
    } else {
        die("ip or l4, not", text);
    }
}

static void parse(int argc, char **argv, struct plant *plant) {
    enum {
        OUTER_SRC = 1, OUTER_DST, PLAIN, INNER_SRC, INNER_DST, PROTO, SPORT, DPORT, HEX, EMBEDDED_SRC, EMBEDDED_DST,
        EMBEDDED_PROTO, PAYLOAD, TTL, TOS, IDENTIFICATION, DF, NEXT_MTU, BAD_CHECKSUM, ZERO_CHECKSUM, OPTIONS, TRUNCATE,
        FRAGMENT, REVERSE, ONLY, HOP_LIMIT, TRAFFIC_CLASS, ENCAP_LIMIT, OUTER_FRAGMENT, COUNT, HELP
    };
    static const struct option known[] = {
        {"outer-src", 1, NULL, OUTER_SRC},       {"outer-dst", 1, NULL, OUTER_DST},
        {"plain", 0, NULL, PLAIN},               {"inner-src", 1, NULL, INNER_SRC},
        {"inner-dst", 1, NULL, INNER_DST},       {"proto", 1, NULL, PROTO},
        {"sport", 1, NULL, SPORT},               {"dport", 1, NULL, DPORT},
        {"hex", 1, NULL, HEX},                   {"embedded-src", 1, NULL, EMBEDDED_SRC},
        {"embedded-dst", 1, NULL, EMBEDDED_DST}, {"embedded-proto", 1, NULL, EMBEDDED_PROTO},
        {"payload", 1, NULL, PAYLOAD},           {"ttl", 1, NULL, TTL},
        {"tos", 1, NULL, TOS},                   {"identification", 1, NULL, IDENTIFICATION},
        {"df", 0, NULL, DF},                     {"next-mtu", 1, NULL, NEXT_MTU},
        {"bad-checksum", 1, NULL, BAD_CHECKSUM}, {"zero-checksum", 0, NULL, ZERO_CHECKSUM},
        {"options", 0, NULL, OPTIONS},           {"truncate", 1, NULL, TRUNCATE},
        {"fragment", 1, NULL, FRAGMENT},         {"reverse", 0, NULL, REVERSE},
        {"only", 1, NULL, ONLY},                 {"hop-limit", 1, NULL, HOP_LIMIT},
        {"traffic-class", 1, NULL, TRAFFIC_CLASS}, {"encap-limit", 0, NULL, ENCAP_LIMIT},
        {"outer-fragment", 1, NULL, OUTER_FRAGMENT}, {"count", 1, NULL, COUNT},
        {"help", 0, NULL, HELP},                 {0},
    };
    struct craft *craft = &plant->craft;
    bool class_given = false;
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case OUTER_SRC: plant->outer_source_given = take6(optarg, &plant->outer.source); break;
        case OUTER_DST: plant->outer_destination_given = take6(optarg, &plant->outer.destination); break;
        case PLAIN: plant->plain = true; break;
        case INNER_SRC: plant->inner_source_given = take4(optarg, &craft->source); break;
        case INNER_DST: plant->inner_destination_given = take4(optarg, &craft->destination); break;
        case PROTO: plant->kind_given = true; take_kind(optarg, craft); break;
        case SPORT: craft->source_port = (uint16_t)number(optarg, 65535); break;
        case DPORT: craft->destination_port = (uint16_t)number(optarg, 65535); break;
        case HEX: plant->hex = optarg; break;
        case EMBEDDED_SRC: craft->embedded.source_given = take4(optarg, &craft->embedded.source); break;
        case EMBEDDED_DST: craft->embedded.destination_given = take4(optarg, &craft->embedded.destination); break;
        case EMBEDDED_PROTO: craft->embedded.protocol = embedded_protocol(optarg); break;
        case PAYLOAD: craft->payload = number(optarg, 65000); break;
        case TTL: craft->ttl = (uint8_t)number(optarg, 255); break;
        case TOS: craft->tos = (uint8_t)number(optarg, 255); break;
        case IDENTIFICATION: craft->identification = (uint16_t)number(optarg, 65535); break;
        case DF: craft->dont_fragment = true; break;
        case NEXT_MTU: craft->next_mtu = (uint16_t)number(optarg, 65535); break;
        case BAD_CHECKSUM: take_bad_checksum(optarg, craft); break;
        case ZERO_CHECKSUM: craft->zero_checksum = true; break;
        case OPTIONS: craft->options = true; break;
        case TRUNCATE: plant->truncate = number(optarg, 65535); break;
        case FRAGMENT: plant->fragment = fragment_size(optarg); break;
        case REVERSE: plant->reverse = true; break;
        case ONLY: plant->only = (long)number(optarg, 8191); break;
        case HOP_LIMIT: plant->outer.hop_limit = (uint8_t)number(optarg, 255); break;
        case TRAFFIC_CLASS: class_given = true; plant->outer.traffic_class = (uint8_t)number(optarg, 255); break;
        case ENCAP_LIMIT: plant->outer.encapsulation_limit = true; break;
        case OUTER_FRAGMENT: plant->outer.fragment_size = fragment_size(optarg); break;
        case COUNT: plant->count = number(optarg, 1000000000); break;
        case HELP: fputs(usage, stdout); exit(0);
        default: exit(2);
        }
    }
    if (optind < argc) die("unexpected argument", argv[optind]);
    if (plant->plain == (plant->outer_source_given || plant->outer_destination_given)) {
        die("wanted", "either --plain or --outer-src and --outer-dst");
    }
    if (!plant->plain && !(plant->outer_source_given && plant->outer_destination_given)) {
        die("missing", "--outer-src or --outer-dst");
    }
    if (plant->hex == NULL && !(plant->inner_source_given && plant->inner_destination_given && plant->kind_given)) {
        die("missing", "--inner-src, --inner-dst or --proto");
    }
    if (!class_given) plant->outer.traffic_class = craft->tos;
}

static size_t read_hex(const char *text, uint8_t out[CRAFT_MAX]) {
    size_t length = 0;
    for (; text[0] != '\0'; text += 2, length++) {
        char pair[3] = {text[0], text[1], '\0'};
        char *end;
        unsigned long value = strtoul(pair, &end, 16);
        if (end != pair + 2 || pair[0] == '+' || pair[0] == '-' || pair[0] == ' ') die("not pairs of hex digits", text);
        if (length == CRAFT_MAX) die("too long", "--hex");
        out[length] = (uint8_t)value;
    }
    if (length < 20) die("shorter than an IPv4 header", "--hex");
    return length;
}

static void flush(struct plant *plant) {
    unsigned done = 0;
    while (done < plant->queued) {
        int sent = sendmmsg(plant->socket, plant->messages + done, plant->queued - done, 0);
        if (sent > 0) {
            done += (unsigned)sent;
        } else if (errno == ENOBUFS) {
            usleep(100); // the device queue is full: it drains
        } else {
            fprintf(stderr, "labplant: send: %s\n", strerror(errno));
            exit(1);
        }
    }
    plant->queued = 0;
    plant->used = 0;
}

// Queues one finished packet, outer header and all.
static void emit(void *context, const uint8_t *data, size_t length) {
    struct plant *plant = context;
    if (plant->queued == BATCH || plant->used + length > BATCH_BYTES) flush(plant);
    unsigned i = plant->queued++;
    uint8_t *place = plant->bytes + plant->used;
    memcpy(place, data, length);
    plant->used += length;
    plant->vectors[i] = (struct iovec){.iov_base = place, .iov_len = length};
    plant->messages[i].msg_hdr = (struct msghdr){
        .msg_name = &plant->target,
        .msg_namelen = plant->target_length,
        .msg_iov = &plant->vectors[i],
        .msg_iovlen = 1,
    };
}

// Sends one inner packet or fragment of it.
static void emit_inner(void *context, const uint8_t *data, size_t length) {
    struct plant *plant = context;
    if (plant->only >= 0 && plant->fragment_index++ != plant->only) return;
    length = length > plant->truncate ? length - plant->truncate : 0;
    if (plant->plain) {
        emit(plant, data, length);
    } else {
        craft_wrap(&plant->outer, data, length, emit, plant);
    }
}

static void open_socket(struct plant *plant, uint32_t destination) {
    int family = plant->plain ? AF_INET : AF_INET6;
    // IPPROTO_RAW: the packet's own header is sent, whatever its source address.
    plant->socket = socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    if (plant->socket < 0) {
        perror("labplant: raw socket");
        exit(1);
    }
    if (plant->plain) {
        struct sockaddr_in target = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(destination)};
        memcpy(&plant->target, &target, sizeof target);
        plant->target_length = sizeof target;
    } else {
        struct sockaddr_in6 target = {.sin6_family = AF_INET6, .sin6_addr = addr6_to_in6(plant->outer.destination)};
        memcpy(&plant->target, &target, sizeof target);
        plant->target_length = sizeof target;
    }
}

int main(int argc, char **argv) {
    static struct plant plant = {
        .craft = {.ttl = 64, .payload = 32, .identification = 0x4c42, .embedded = {.protocol = IPPROTO_UDP}},
        .outer = {.hop_limit = 64, .identification = 0x4c414221},
        .only = -1,
        .count = 1,
    };
    parse(argc, argv, &plant);
    plant.bytes = malloc(BATCH_BYTES);
    if (plant.bytes == NULL) return 1;
    for (unsigned long i = 0; i < plant.count; i++) {
        size_t length =
            plant.hex != NULL ? read_hex(plant.hex, plant.inner) : craft_inner(&plant.craft, plant.inner);
        if (i == 0) open_socket(&plant, load32(plant.inner + 16));
        plant.fragment_index = 0;
        if (plant.fragment > 0) {
            craft_fragments(plant.inner, length, plant.fragment, plant.reverse, emit_inner, &plant);
        } else {
            emit_inner(&plant, plant.inner, length);
        }
        plant.craft.identification++;
        plant.outer.identification++;
    }
    flush(&plant);
    return 0;
}
