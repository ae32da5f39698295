// SPDX-License-Identifier: GPL-3.0-or-later
// Reassembly of inner IPv4 fragments, for verification only: a checksum and the port of a later fragment can be judged
// in no other way. The fragments themselves are kept as they came and are handed back for forwarding untouched.
#ifndef LAB_FRAGMENT_H
#define LAB_FRAGMENT_H

#include "packet.h"

enum { FRAGMENTS_PER_DATAGRAM = 256, DATAGRAMS_MAX = 64, FRAGMENT_LIFETIME_MS = 15000 };

struct fragment_key {
    // The outer source belongs in here: two CEs of one IPv4 address draw from the same identification numbers
    // (RFC 7597 section 8.3.3), and only the outer source tells them apart.
    struct addr6 outer;
    uint32_t source, destination;
    uint16_t identification;
    uint8_t protocol;
};

struct piece {
    uint32_t position, length; // of the fragment as it came, in `raw`
};

struct datagram {
    bool used;
    struct fragment_key key;
    int64_t started;
    bool bad;          // an earlier piece contradicted another: swallow the rest
    bool forward;      // false when a piece has had a violation of its own and nothing may be forwarded
    bool have_first, have_last;
    size_t first_header;  // header length of the fragment with offset 0
    size_t total;         // payload length, known with the last fragment
    size_t received;      // payload bytes so far
    unsigned piece_count;
    struct piece pieces[FRAGMENTS_PER_DATAGRAM];
    size_t raw_used;
    uint8_t raw[PACKET_MAX + FRAGMENTS_PER_DATAGRAM * 60];
    uint8_t filled[PACKET_MAX / 8 / 8 + 2]; // one bit for each eight bytes of payload
    uint8_t whole[60 + PACKET_MAX + 9];     // 60 bytes of room for the header, then the payload in its place
};

struct reassembly {
    struct datagram *datagrams; // DATAGRAMS_MAX of them
    uint64_t expired;           // datagrams given up: too old, or pushed out by newer ones
};

enum fragment_result {
    FRAGMENT_HELD,     // waiting for the others
    FRAGMENT_COMPLETE, // *datagram is whole; fragment_release() it after use
    FRAGMENT_BAD,      // overlaps another, lies outside the datagram, or has a length that cannot be; told once each
    FRAGMENT_IGNORED,  // belongs to a datagram found bad before
};

bool reassembly_init(struct reassembly *state);
enum fragment_result fragment_add(struct reassembly *state, const struct fragment_key *key, const struct ipv4 *packet,
                                  bool forward, int64_t now, struct datagram **datagram);
// The whole packet: the first fragment's header, with length and fragment field set for what it is now.
bool fragment_whole(struct datagram *datagram, struct ipv4 *out);
void fragment_release(struct datagram *datagram);
void fragment_expire(struct reassembly *state, int64_t now);

#endif
