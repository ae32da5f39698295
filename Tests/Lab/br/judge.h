// SPDX-License-Identifier: GPL-3.0-or-later
// The verdict on each packet that a CE sends up.
#ifndef LAB_JUDGE_H
#define LAB_JUDGE_H

#include "fragment.h"
#include "options.h"
#include "packet.h"
#include "stats.h"

// What the socket told about the outer packet.
struct outer {
    struct addr6 source, destination;
    int hop_limit;     // -1 unknown
    int traffic_class; // -1 unknown
    int fragment_size; // largest outer fragment it came in, 0 when it came whole
    bool has_options;  // some extension header stood before the IPv4 packet
    bool cut;          // longer than the receive buffer
};

struct judge {
    const struct options *options;
    struct rule_set *rules;
    struct stats *stats;
    struct subscriber_table *subscribers; // DS-Lite only
    struct reassembly reassembly;
};

// The packets to pass on because of this one: itself, or all fragments of the datagram that it completes, or none.
struct verdict {
    unsigned count;
    struct {
        uint8_t *data;
        size_t length;
    } packets[FRAGMENTS_PER_DATAGRAM];
};

bool judge_init(struct judge *judge, const struct options *options, struct rule_set *rules, struct stats *stats,
                struct subscriber_table *subscribers);
// `out` points into `data` or into the judge's own store and is good until the next call.
void judge_packet(struct judge *judge, const struct outer *outer, uint8_t *data, size_t length, int64_t now,
                  struct verdict *out);
// Gives up on datagrams whose fragments do not come.
void judge_expire(struct judge *judge, int64_t now);

#endif
