// SPDX-License-Identifier: GPL-3.0-or-later
// What the judge has seen: a counter for each kind of violation, figures for information, the source ports of each CE,
// and the last violations in words. Written as JSON for the harness.
#ifndef LAB_STATS_H
#define LAB_STATS_H

#include <stdio.h>

#include "rule.h"
#include "subscriber.h"

// Kind and name of each violation. The meaning of each is in README.md.
#define VIOLATIONS(X)                                                                                                  \
    X(OUTER_SOURCE, "outer-source")                                                                                    \
    X(OUTER_DEST, "outer-dest")                                                                                        \
    X(INNER_SOURCE, "inner-source")                                                                                    \
    X(PORT_SET, "port-set")                                                                                            \
    X(PROTOCOL, "protocol")                                                                                            \
    X(IP_CHECKSUM, "ip-checksum")                                                                                      \
    X(TCP_CHECKSUM, "tcp-checksum")                                                                                    \
    X(UDP_CHECKSUM, "udp-checksum")                                                                                    \
    X(ICMP_CHECKSUM, "icmp-checksum")                                                                                  \
    X(ICMP_INNER, "icmp-inner")                                                                                        \
    X(TRUNCATED, "truncated")                                                                                          \
    X(FRAGMENT, "fragment")                                                                                            \
    X(HOP_LIMIT, "hop-limit")

#define INFOS(X)                                                                                                       \
    X(UPLINK_PACKETS, "uplink-packets")                                                                                \
    X(UPLINK_BYTES, "uplink-bytes")                                                                                    \
    X(UPLINK_TCP, "uplink-tcp")                                                                                        \
    X(UPLINK_UDP, "uplink-udp")                                                                                        \
    X(UPLINK_ICMP, "uplink-icmp")                                                                                      \
    X(UPLINK_OTHER, "uplink-other")                                                                                    \
    X(UPLINK_FORWARDED, "uplink-forwarded")                                                                            \
    X(UPLINK_VIOLATING, "uplink-violating")                                                                            \
    X(DOWNLINK_PACKETS, "downlink-packets")                                                                            \
    X(DOWNLINK_BYTES, "downlink-bytes")                                                                                \
    X(DOWNLINK_TCP, "downlink-tcp")                                                                                    \
    X(DOWNLINK_UDP, "downlink-udp")                                                                                    \
    X(DOWNLINK_ICMP, "downlink-icmp")                                                                                  \
    X(DOWNLINK_OTHER, "downlink-other")                                                                                \
    X(DOWNLINK_SENT, "downlink-sent")                                                                                  \
    X(NO_CE, "no-ce")                                                                                                  \
    X(HAIRPIN, "hairpin")                                                                                              \
    X(UDP_ZERO_CHECKSUM, "udp-zero-checksum")                                                                          \
    X(PARTIAL_CHECKSUM, "partial-checksum")                                                                            \
    X(OUTER_FRAGMENTED, "outer-fragmented")                                                                            \
    X(OUTER_OPTIONS, "outer-options")                                                                                  \
    X(OUTER_TCLASS_DIFFERS, "outer-tclass-differs")                                                                    \
    X(TRAILING_BYTES, "trailing-bytes")                                                                                \
    X(INNER_OPTIONS, "inner-options")                                                                                  \
    X(INNER_FRAGMENTS, "inner-fragments")                                                                              \
    X(REASSEMBLED, "reassembled")                                                                                      \
    X(FRAGMENTS_EXPIRED, "fragments-expired")                                                                          \
    X(B4_CLASH, "b4-clash")                                                                                            \
    X(TUN_ERRORS, "tun-errors")                                                                                        \
    X(SEND_ERRORS, "send-errors")

enum violation {
#define X(kind, name) VIOLATION_##kind,
    VIOLATIONS(X)
#undef X
        VIOLATION_COUNT
};

enum info {
#define X(kind, name) INFO_##kind,
    INFOS(X)
#undef X
        INFO_COUNT
};

enum port_space { PORTS_TCP, PORTS_UDP, PORTS_ICMP, PORT_SPACES };
enum { PORT_BYTES = 65536 / 8, CES_MAX = 256, RECENT_MAX = 16, RECENT_TEXT = 240 };

struct ce_record {
    struct addr6 address;
    uint32_t ipv4;
    uint16_t psid;
    uint64_t packets;
    uint8_t ports[PORT_SPACES][PORT_BYTES];
};

struct stats {
    const char *mode;
    uint64_t violations[VIOLATION_COUNT];
    uint64_t infos[INFO_COUNT];
    struct ce_record *ces; // CES_MAX of them, in order of appearance
    unsigned ce_count, ce_last;
    char recent[RECENT_MAX][RECENT_TEXT];
    uint64_t recent_count;
    uint64_t resets;   // how often the counters were cleared
    uint64_t sequence; // how often the file was written
    bool changed;
};

bool stats_init(struct stats *stats, const char *mode);
void stats_reset(struct stats *stats);
// The record of a CE, NULL when there are too many.
struct ce_record *stats_ce(struct stats *stats, const struct ce *ce);
void stats_port(struct ce_record *record, enum port_space space, uint16_t port);
// A place for the words on a violation.
char *stats_recent(struct stats *stats);
const char *violation_name(enum violation kind);
// Writes PATH.new and renames it, so that a reader sees the old or the new file and never a part of one.
bool stats_write(struct stats *stats, const char *path, const struct subscriber_table *subscribers);

// "[[first,last],…]" of the bits set.
void ranges_print(FILE *out, const uint8_t bits[PORT_BYTES]);

static inline void info_add(struct stats *stats, enum info which, uint64_t amount) {
    stats->infos[which] += amount;
    stats->changed = true;
}

#endif
