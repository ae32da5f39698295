// SPDX-License-Identifier: GPL-3.0-or-later
// Builds packets to plant: right ones, and wrong ones with exactly one fault.
#ifndef LAB_CRAFT_H
#define LAB_CRAFT_H

#include "address.h"

// Longest packet built here, and what encapsulation adds (outer header, options, fragment header).
enum { CRAFT_MAX = 65535, OUTER_MAX = 40 + 8 + 8 };

enum craft_kind {
    CRAFT_UDP, CRAFT_TCP, CRAFT_ECHO, CRAFT_ECHO_REPLY, CRAFT_UNREACH, CRAFT_TOO_BIG, CRAFT_EXCEEDED, CRAFT_OTHER
};

// What an ICMP error says that it is about. The fields left out follow from the packet around it.
struct craft_embedded {
    bool source_given, destination_given;
    uint32_t source, destination;
    uint8_t protocol;
};

struct craft {
    enum craft_kind kind;
    uint8_t protocol; // CRAFT_OTHER
    uint32_t source, destination;
    uint16_t source_port, destination_port; // an echo's identifier is its source port
    uint16_t identification;
    uint16_t next_mtu; // CRAFT_TOO_BIG
    uint8_t ttl, tos;
    bool dont_fragment;
    size_t payload;
    bool bad_ip_checksum, bad_transport_checksum, zero_checksum;
    bool options; // IPv4 options: in an ICMP error on the embedded header, else on the packet's own
    struct craft_embedded embedded;
};

// Builds the inner packet: its length.
size_t craft_inner(const struct craft *craft, uint8_t out[CRAFT_MAX]);

// Cuts an inner packet after every `size` payload bytes (a multiple of 8) and calls `each` for the fragments, first to
// last or the other way round.
void craft_fragments(const uint8_t *packet, size_t length, size_t size, bool reversed,
                     void (*each)(void *context, const uint8_t *data, size_t length), void *context);

struct craft_outer {
    struct addr6 source, destination;
    uint8_t hop_limit, traffic_class;
    bool encapsulation_limit; // the destination option of RFC 2473, as ip6tnl adds it by default
    size_t fragment_size;     // payload bytes of an outer fragment (a multiple of 8), 0: none
    uint32_t identification;
};

// Wraps an inner packet and calls `each` for each IPv6 packet that results.
void craft_wrap(const struct craft_outer *outer, const uint8_t *inner, size_t length,
                void (*each)(void *context, const uint8_t *data, size_t length), void *context);

#endif
