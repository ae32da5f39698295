// SPDX-License-Identifier: GPL-3.0-or-later
// Reassembly of inner IPv4 fragments.
#include "fragment.h"

#include <stdlib.h>
#include <string.h>

#include "checksum.h"

enum { HEADER_ROOM = 60 };

bool reassembly_init(struct reassembly *state) {
    state->expired = 0;
    state->datagrams = calloc(DATAGRAMS_MAX, sizeof *state->datagrams);
    return state->datagrams != NULL;
}

void fragment_release(struct datagram *datagram) {
    datagram->used = false;
}

void fragment_expire(struct reassembly *state, int64_t now) {
    for (unsigned i = 0; i < DATAGRAMS_MAX; i++) {
        struct datagram *datagram = &state->datagrams[i];
        if (!datagram->used || now - datagram->started < FRAGMENT_LIFETIME_MS) continue;
        if (!datagram->bad) state->expired++;
        datagram->used = false;
    }
}

static bool key_equal(const struct fragment_key *a, const struct fragment_key *b) {
    return addr6_equal(a->outer, b->outer) && a->source == b->source && a->destination == b->destination &&
           a->identification == b->identification && a->protocol == b->protocol;
}

static struct datagram *find(struct reassembly *state, const struct fragment_key *key, int64_t now) {
    struct datagram *place = NULL;
    for (unsigned i = 0; i < DATAGRAMS_MAX; i++) {
        struct datagram *datagram = &state->datagrams[i];
        if (datagram->used && key_equal(&datagram->key, key)) return datagram;
        // A free one, else the oldest.
        if (place == NULL || (place->used && (!datagram->used || datagram->started < place->started))) place = datagram;
    }
    if (place->used && !place->bad) state->expired++;
    place->used = true;
    place->key = *key;
    place->started = now;
    place->bad = false;
    place->forward = true;
    place->have_first = place->have_last = false;
    place->first_header = place->total = place->received = place->raw_used = 0;
    place->piece_count = 0;
    memset(place->filled, 0, sizeof place->filled);
    return place;
}

// Marks the blocks of the piece; false when one was there already.
static bool fill(struct datagram *datagram, size_t offset, size_t length) {
    bool fresh = true;
    for (size_t block = offset / 8; block < (offset + length + 7) / 8; block++) {
        uint8_t bit = (uint8_t)(1u << block % 8);
        if (datagram->filled[block / 8] & bit) fresh = false;
        datagram->filled[block / 8] |= bit;
    }
    return fresh;
}

// Whether the piece agrees with what is known of the datagram.
static bool plausible(const struct datagram *datagram, const struct ipv4 *packet) {
    size_t end = (size_t)packet->fragment_offset + packet->payload_length;
    if (packet->payload_length == 0 || end + packet->header_length > PACKET_MAX) return false;
    if (packet->more_fragments && packet->payload_length % 8 != 0) return false;
    if (datagram->have_last && (end > datagram->total || !packet->more_fragments)) return false;
    return datagram->piece_count < FRAGMENTS_PER_DATAGRAM;
}

enum fragment_result fragment_add(struct reassembly *state, const struct fragment_key *key, const struct ipv4 *packet,
                                  bool forward, int64_t now, struct datagram **result) {
    struct datagram *datagram = find(state, key, now);
    if (datagram->bad) return FRAGMENT_IGNORED;
    size_t offset = packet->fragment_offset, end = offset + packet->payload_length;
    if (!plausible(datagram, packet) || !fill(datagram, offset, packet->payload_length)) {
        datagram->bad = true;
        return FRAGMENT_BAD;
    }
    // Pieces longer than the last one allows can have come before it.
    if (!packet->more_fragments) {
        for (unsigned i = 0; i < datagram->piece_count; i++) {
            struct ipv4 other;
            const struct piece *piece = &datagram->pieces[i];
            if (ipv4_parse(datagram->raw + piece->position, piece->length, &other) &&
                (size_t)other.fragment_offset + other.payload_length > end) {
                datagram->bad = true;
                return FRAGMENT_BAD;
            }
        }
        datagram->have_last = true;
        datagram->total = end;
    }
    if (offset == 0) {
        datagram->have_first = true;
        datagram->first_header = packet->header_length;
        memcpy(datagram->whole + HEADER_ROOM - packet->header_length, packet->data, packet->header_length);
    }
    memcpy(datagram->whole + HEADER_ROOM + offset, packet->payload, packet->payload_length);
    // No two pieces overlap and each is within 65535, so `raw` has room for all of them with their headers.
    datagram->pieces[datagram->piece_count++] =
        (struct piece){.position = (uint32_t)datagram->raw_used, .length = (uint32_t)packet->length};
    memcpy(datagram->raw + datagram->raw_used, packet->data, packet->length);
    datagram->raw_used += packet->length;
    datagram->received += packet->payload_length;
    datagram->forward = datagram->forward && forward;
    *result = datagram;
    bool complete = datagram->have_first && datagram->have_last && datagram->received == datagram->total;
    return complete ? FRAGMENT_COMPLETE : FRAGMENT_HELD;
}

bool fragment_whole(struct datagram *datagram, struct ipv4 *out) {
    size_t length = datagram->first_header + datagram->total;
    if (length > PACKET_MAX) return false;
    uint8_t *data = datagram->whole + HEADER_ROOM - datagram->first_header;
    store16(data + 2, (uint16_t)length);
    store16(data + 6, 0);
    store16(data + 10, 0);
    store16(data + 10, (uint16_t)~checksum_sum(data, datagram->first_header));
    return ipv4_parse(data, length, out);
}
