// SPDX-License-Identifier: GPL-3.0-or-later
// The way down: which CE an inner packet from the Internet belongs to. Only a first fragment carries ports, so a cache
// remembers where it went, and later fragments that overtook it wait a moment (RFC 7597 section 8.3.3).
#ifndef LAB_ROUTE_H
#define LAB_ROUTE_H

#include "packet.h"
#include "rule.h"

enum { FLOWS_MAX = 512, WAITING_MAX = 128, WAITING_BYTES = 2048, FLOW_LIFETIME_MS = 15000, WAITING_LIFETIME_MS = 1000 };

struct flow_key {
    uint32_t source, destination;
    uint16_t identification;
    uint8_t protocol;
};

struct flow {
    bool used;
    struct flow_key key;
    int64_t seen;
    bool known;           // false: the first fragment had no CE, so its followers have none either
    struct addr6 address;
};

struct waiting {
    bool used;
    struct flow_key key;
    int64_t since;
    size_t length;
    uint8_t data[WAITING_BYTES];
};

struct router {
    struct rule_set *rules;
    struct flow flows[FLOWS_MAX];
    struct waiting waiting[WAITING_MAX];
    unsigned waiting_count;
    uint64_t expired; // fragments whose first one never came
};

enum route_result {
    ROUTE_FOUND,
    ROUTE_NO_CE,
    ROUTE_WAITING, // kept until its first fragment comes
};

// `released` is set when the packet was a first fragment others may be waiting for: call route_next_waiting().
enum route_result route_packet(struct router *router, const struct ipv4 *packet, int64_t now, struct addr6 *ce,
                               bool *released);
// Takes one fragment that waited for the same datagram as `packet` out of the store: its length, 0 when none is left.
size_t route_next_waiting(struct router *router, const struct ipv4 *packet, uint8_t out[WAITING_BYTES]);
void route_expire(struct router *router, int64_t now);

#endif
