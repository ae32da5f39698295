// SPDX-License-Identifier: GPL-3.0-or-later
// The way down.
#include "route.h"

#include <string.h>

static struct flow_key key_of(const struct ipv4 *packet) {
    return (struct flow_key){
        .source = packet->source,
        .destination = packet->destination,
        .identification = packet->identification,
        .protocol = packet->protocol,
    };
}

static bool key_equal(const struct flow_key *a, const struct flow_key *b) {
    return a->source == b->source && a->destination == b->destination && a->identification == b->identification &&
           a->protocol == b->protocol;
}

// A place in the cache: the entry of this key, or with `make` the oldest of the few places it may be in.
static struct flow *flow_place(struct router *router, const struct flow_key *key, int64_t now, bool make) {
    enum { WAYS = 8 };
    uint32_t mix = key->source * 0x9e3779b1u ^ key->destination * 0x85ebca6bu ^ key->identification * 0xc2b2ae35u ^
                   key->protocol;
    struct flow *set = &router->flows[(mix >> 7) % (FLOWS_MAX / WAYS) * WAYS];
    struct flow *oldest = set;
    for (unsigned i = 0; i < WAYS; i++) {
        struct flow *flow = &set[i];
        if (flow->used && now - flow->seen >= FLOW_LIFETIME_MS) flow->used = false;
        if (flow->used && key_equal(&flow->key, key)) return flow;
        if (oldest->used && (!flow->used || flow->seen < oldest->seen)) oldest = flow;
    }
    return make ? oldest : NULL;
}

// The port by which the sender's CE is known: the destination's port, or for an error the port of the packet that the
// CE had sent.
static int port_of(const struct ipv4 *packet) {
    struct transport transport;
    transport_parse(packet, &transport);
    switch (transport.kind) {
    case TRANSPORT_PORTS:
    case TRANSPORT_QUERY:
        return transport.destination_port;
    case TRANSPORT_ERROR:
        return transport.embedded.readable ? transport.embedded.source_port : -1;
    default:
        return -1;
    }
}

static bool keep_waiting(struct router *router, const struct flow_key *key, const struct ipv4 *packet, int64_t now) {
    if (packet->length > WAITING_BYTES || router->waiting_count == WAITING_MAX) return false;
    for (unsigned i = 0; i < WAITING_MAX; i++) {
        struct waiting *place = &router->waiting[i];
        if (place->used) continue;
        place->used = true;
        place->key = *key;
        place->since = now;
        place->length = packet->length;
        memcpy(place->data, packet->data, packet->length);
        router->waiting_count++;
        return true;
    }
    return false;
}

enum route_result route_packet(struct router *router, const struct ipv4 *packet, int64_t now, struct addr6 *address,
                               bool *released) {
    struct ce ce;
    *released = false;
    const struct rule *rule = rule_for_ipv4(router->rules, packet->destination);
    if (rule == NULL) return ROUTE_NO_CE;
    if (!rule_is_shared(rule) || !ipv4_is_fragment(packet)) {
        if (!ce_for_ipv4(router->rules, packet->destination, rule_is_shared(rule) ? port_of(packet) : -1, &ce)) {
            return ROUTE_NO_CE;
        }
        *address = ce.address;
        return ROUTE_FOUND;
    }
    struct flow_key key = key_of(packet);
    if (packet->fragment_offset == 0) {
        struct flow *flow = flow_place(router, &key, now, true);
        flow->used = true;
        flow->key = key;
        flow->seen = now;
        flow->known = ce_for_ipv4(router->rules, packet->destination, port_of(packet), &ce);
        if (flow->known) flow->address = *address = ce.address;
        *released = router->waiting_count > 0;
        return flow->known ? ROUTE_FOUND : ROUTE_NO_CE;
    }
    const struct flow *flow = flow_place(router, &key, now, false);
    if (flow == NULL) return keep_waiting(router, &key, packet, now) ? ROUTE_WAITING : ROUTE_NO_CE;
    if (!flow->known) return ROUTE_NO_CE;
    *address = flow->address;
    return ROUTE_FOUND;
}

size_t route_next_waiting(struct router *router, const struct ipv4 *packet, uint8_t out[WAITING_BYTES]) {
    struct flow_key key = key_of(packet);
    for (unsigned i = 0; i < WAITING_MAX; i++) {
        struct waiting *place = &router->waiting[i];
        if (!place->used || !key_equal(&place->key, &key)) continue;
        memcpy(out, place->data, place->length);
        place->used = false;
        router->waiting_count--;
        return place->length;
    }
    return 0;
}

void route_expire(struct router *router, int64_t now) {
    if (router->waiting_count == 0) return;
    for (unsigned i = 0; i < WAITING_MAX; i++) {
        struct waiting *place = &router->waiting[i];
        if (!place->used || now - place->since < WAITING_LIFETIME_MS) continue;
        place->used = false;
        router->waiting_count--;
        router->expired++;
    }
}
