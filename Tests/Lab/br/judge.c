// SPDX-License-Identifier: GPL-3.0-or-later
// The verdict on each packet that a CE sends up, by RFC 7597 sections 8.1 (outer source, inner source and port must
// agree) and 8.2 (ICMP identifiers are ports), and by the checksum rules of IPv4, TCP, UDP and ICMP.
//
// Outer source, inner source, port and protocol are judged in this order and the first that fails is the one that
// counts: with a wrong outer source there is no CE whose port set could be asked. Checksums, the outer destination and
// the hop limit are independent of that and of each other, so one packet can count under several kinds.
#include "judge.h"

#include <inttypes.h>
#include <string.h>

#include "checksum.h"

// The kinds found on one packet.
typedef uint32_t findings;

static findings found(enum violation kind) {
    return 1u << kind;
}

bool judge_init(struct judge *judge, const struct options *options, struct rule_set *rules, struct stats *stats,
                struct subscriber_table *subscribers) {
    *judge = (struct judge){.options = options, .rules = rules, .stats = stats, .subscribers = subscribers};
    return reassembly_init(&judge->reassembly);
}

// Puts the violation into words for the person who has to find its cause.
static void describe(struct stats *stats, findings kinds, const struct outer *outer, const struct ipv4 *packet,
                     const struct transport *transport) {
    char source[ADDRESS_TEXT], destination[ADDRESS_TEXT], names[160] = "";
    for (unsigned kind = 0; kind < VIOLATION_COUNT; kind++) {
        if ((kinds & found((enum violation)kind)) == 0) continue;
        if (names[0] != '\0') strcat(names, "+");
        strcat(names, violation_name((enum violation)kind));
    }
    char *text = stats_recent(stats);
    int used = snprintf(text, RECENT_TEXT, "%s: outer %s > %s hl %d", names, addr6_text(outer->source, source),
                        addr6_text(outer->destination, destination), outer->hop_limit);
    if (packet == NULL || used < 0 || used >= RECENT_TEXT) return;
    const char *kind = "";
    int source_port = -1, destination_port = -1;
    if (transport != NULL) {
        source_port = transport->source_port;
        destination_port = transport->destination_port;
        if (transport->kind == TRANSPORT_ERROR) {
            kind = " error";
            source_port = transport->embedded.source_port;
            destination_port = transport->embedded.destination_port;
        }
    }
    snprintf(text + used, (size_t)(RECENT_TEXT - used), ", inner %s > %s proto %u%s ports %d > %d len %zu frag %u%s",
             addr4_text(packet->source, source), addr4_text(packet->destination, destination), packet->protocol, kind,
             source_port, destination_port, packet->length, packet->fragment_offset,
             packet->more_fragments ? "+" : "");
}

static void count(struct judge *judge, findings kinds, const struct outer *outer, const struct ipv4 *packet,
                  const struct transport *transport) {
    if (kinds == 0) return;
    for (unsigned kind = 0; kind < VIOLATION_COUNT; kind++) {
        if (kinds & found((enum violation)kind)) judge->stats->violations[kind]++;
    }
    info_add(judge->stats, INFO_UPLINK_VIOLATING, 1);
    describe(judge->stats, kinds, outer, packet, transport);
}

// Looks at the outer header.
static findings judge_outer(struct judge *judge, const struct outer *outer) {
    findings kinds = 0;
    bool ours = false;
    for (unsigned i = 0; i < judge->options->relay_count; i++) {
        if (addr6_equal(outer->destination, judge->options->relays[i])) ours = true;
    }
    if (!ours) kinds |= found(VIOLATION_OUTER_DEST);
    // The tunnel is one hop for the inner packet (RFC 2473 section 6.3): an outer hop limit near zero was copied from
    // it, and would end a traceroute inside the provider's network.
    if (outer->hop_limit >= 0 && outer->hop_limit < (int)judge->options->min_hop_limit) {
        kinds |= found(VIOLATION_HOP_LIMIT);
    }
    if (outer->fragment_size > 0) info_add(judge->stats, INFO_OUTER_FRAGMENTED, 1);
    if (outer->has_options) info_add(judge->stats, INFO_OUTER_OPTIONS, 1);
    return kinds;
}

// The address checks that every fragment can stand. `ce` is set when the outer source is that of a CE.
static findings judge_addresses(struct judge *judge, const struct outer *outer, const struct ipv4 *packet,
                                struct ce *ce) {
    if (judge->options->mode == MODE_AFTR) return 0; // a B4 has any address and any inner source
    switch (source_check(judge->rules, outer->source, packet->source, -1, ce)) {
    case SOURCE_OUTER:
        ce->rule = NULL;
        return found(VIOLATION_OUTER_SOURCE);
    case SOURCE_INNER:
        return found(VIOLATION_INNER_SOURCE);
    default:
        return 0;
    }
}

// An ICMP error of a CE speaks of a packet that was sent to it: the embedded destination is the CE's.
static findings judge_embedded(const struct embedded *embedded, const struct ce *ce) {
    bool good = embedded->readable && embedded->checksum_ok && ce_owns_ipv4(ce, embedded->destination) &&
                ce_owns_port(ce, (uint16_t)embedded->destination_port);
    return good ? 0 : found(VIOLATION_ICMP_INNER);
}

// Port and protocol, once the addresses have been found consistent.
static findings judge_ports(const struct transport *transport, const struct ce *ce) {
    switch (transport->kind) {
    case TRANSPORT_PORTS:
    case TRANSPORT_QUERY:
        return ce_owns_port(ce, (uint16_t)transport->source_port) ? 0 : found(VIOLATION_PORT_SET);
    case TRANSPORT_ERROR:
        return judge_embedded(&transport->embedded, ce);
    case TRANSPORT_NO_PORT:
        return rule_is_shared(ce->rule) ? found(VIOLATION_PROTOCOL) : 0;
    case TRANSPORT_SHORT:
        break; // counted as truncated by the caller
    }
    return 0;
}

static void remember_port(struct ce_record *record, const struct ipv4 *packet, const struct transport *transport) {
    uint16_t port = (uint16_t)transport->source_port;
    if (transport->kind == TRANSPORT_QUERY) stats_port(record, PORTS_ICMP, port);
    if (transport->kind != TRANSPORT_PORTS) return;
    if (packet->protocol == IPPROTO_TCP) stats_port(record, PORTS_TCP, port);
    if (packet->protocol == IPPROTO_UDP) stats_port(record, PORTS_UDP, port);
}

// Completes a checksum that a kernel has left to hardware which a virtual wire does not have.
static void finish_checksum(const struct ipv4 *packet, uint8_t *data) {
    uint8_t *payload = data + packet->header_length;
    size_t length = packet->protocol == IPPROTO_UDP ? load16(payload + 4) : packet->payload_length;
    // The field holds the pseudo-header sum already, so the sum over everything is the sum wanted.
    uint16_t checksum = (uint16_t)~checksum_sum(payload, length);
    if (packet->protocol == IPPROTO_UDP && checksum == 0) checksum = 0xffff;
    store16(payload + (packet->protocol == IPPROTO_UDP ? 6 : 16), checksum);
}

static findings judge_checksum(struct judge *judge, const struct ipv4 *packet, uint8_t *data) {
    findings bad = found(packet->protocol == IPPROTO_TCP   ? VIOLATION_TCP_CHECKSUM
                         : packet->protocol == IPPROTO_UDP ? VIOLATION_UDP_CHECKSUM
                                                           : VIOLATION_ICMP_CHECKSUM);
    switch (transport_checksum(packet)) {
    case CHECKSUM_BAD:
        return bad;
    case CHECKSUM_CUT:
        return found(VIOLATION_TRUNCATED);
    case CHECKSUM_ABSENT:
        info_add(judge->stats, INFO_UDP_ZERO_CHECKSUM, 1);
        return 0;
    case CHECKSUM_PARTIAL:
        info_add(judge->stats, INFO_PARTIAL_CHECKSUM, 1);
        if (!judge->options->accept_partial_checksums) return bad;
        finish_checksum(packet, data);
        return 0;
    case CHECKSUM_OK:
    case CHECKSUM_UNKNOWN:
        break;
    }
    return 0;
}

// Everything that needs the whole datagram. `data` is the same memory as the packet, writable.
static findings judge_whole(struct judge *judge, const struct ipv4 *packet, uint8_t *data, const struct ce *ce,
                            bool consistent, struct transport *transport) {
    transport_parse(packet, transport);
    findings kinds = judge_checksum(judge, packet, data);
    if (transport->kind == TRANSPORT_SHORT) kinds |= found(VIOLATION_TRUNCATED);
    if (judge->options->mode == MODE_AFTR || ce->rule == NULL) return kinds;
    if (consistent) kinds |= judge_ports(transport, ce);
    struct ce_record *record = stats_ce(judge->stats, ce);
    if (record != NULL) remember_port(record, packet, transport);
    return kinds;
}

static void count_traffic(struct judge *judge, const struct outer *outer, const struct ipv4 *packet, size_t available) {
    struct stats *stats = judge->stats;
    info_add(stats, packet->protocol == IPPROTO_TCP    ? INFO_UPLINK_TCP
                    : packet->protocol == IPPROTO_UDP  ? INFO_UPLINK_UDP
                    : packet->protocol == IPPROTO_ICMP ? INFO_UPLINK_ICMP
                                                       : INFO_UPLINK_OTHER, 1);
    if (packet->length < available) info_add(stats, INFO_TRAILING_BYTES, 1);
    if (packet->header_length > IPV4_HEADER) info_add(stats, INFO_INNER_OPTIONS, 1);
    if (ipv4_is_fragment(packet)) info_add(stats, INFO_INNER_FRAGMENTS, 1);
    if (outer->traffic_class >= 0 && outer->traffic_class != packet->tos) info_add(stats, INFO_OUTER_TCLASS_DIFFERS, 1);
}

static void pass(struct verdict *out, uint8_t *data, size_t length) {
    out->packets[out->count].data = data;
    out->packets[out->count].length = length;
    out->count++;
}

// A fragment: hold it until its datagram is whole, then judge that and hand back all pieces. What is wrong with the
// datagram counts on the fragment that completed it.
static void judge_fragment(struct judge *judge, const struct outer *outer, const struct ipv4 *packet,
                           const struct ce *ce, findings kinds, int64_t now, struct verdict *out) {
    struct fragment_key key = {
        .outer = outer->source,
        .source = packet->source,
        .destination = packet->destination,
        .identification = packet->identification,
        .protocol = packet->protocol,
    };
    struct datagram *datagram;
    struct ipv4 whole;
    struct transport transport;
    bool forward = kinds == 0 || judge->options->forward_violations;
    enum fragment_result result = fragment_add(&judge->reassembly, &key, packet, forward, now, &datagram);
    if (result == FRAGMENT_BAD) kinds |= found(VIOLATION_FRAGMENT);
    if (result != FRAGMENT_COMPLETE) {
        count(judge, kinds, outer, packet, NULL);
        return;
    }
    info_add(judge->stats, INFO_REASSEMBLED, 1);
    fragment_release(datagram);
    if (!fragment_whole(datagram, &whole)) {
        count(judge, kinds | found(VIOLATION_FRAGMENT), outer, packet, NULL);
        return;
    }
    // The checksum may not be "finished" here: the pieces go on as they came, not the whole. A partial checksum cannot
    // be in a fragment, since the kernel completes it before it cuts; so it is judged as what it is.
    bool consistent = (kinds & (found(VIOLATION_OUTER_SOURCE) | found(VIOLATION_INNER_SOURCE))) == 0;
    uint8_t *data = datagram->whole + 60 - datagram->first_header;
    findings later = judge_whole(judge, &whole, data, ce, consistent, &transport);
    count(judge, kinds | later, outer, &whole, &transport);
    if ((!datagram->forward || later != 0) && !judge->options->forward_violations) return;
    for (unsigned i = 0; i < datagram->piece_count; i++) {
        pass(out, datagram->raw + datagram->pieces[i].position, datagram->pieces[i].length);
    }
}

void judge_packet(struct judge *judge, const struct outer *outer, uint8_t *data, size_t length, int64_t now,
                  struct verdict *out) {
    struct ipv4 packet;
    struct ce ce = {0};
    struct transport transport;
    out->count = 0;
    info_add(judge->stats, INFO_UPLINK_PACKETS, 1);
    info_add(judge->stats, INFO_UPLINK_BYTES, length);
    findings kinds = judge_outer(judge, outer);
    if (outer->cut || !ipv4_parse(data, length, &packet)) {
        count(judge, kinds | found(VIOLATION_TRUNCATED), outer, NULL, NULL);
        return; // there is no packet to pass on
    }
    count_traffic(judge, outer, &packet, length);
    if (!ipv4_header_checksum_ok(&packet)) kinds |= found(VIOLATION_IP_CHECKSUM);
    if (packet.ttl == 0) kinds |= found(VIOLATION_HOP_LIMIT);
    findings addresses = judge_addresses(judge, outer, &packet, &ce);
    kinds |= addresses;
    if (ce.rule != NULL) {
        struct ce_record *record = stats_ce(judge->stats, &ce);
        if (record != NULL) record->packets++;
    }
    if (judge->subscribers != NULL && kinds == 0) subscriber_learn(judge->subscribers, packet.source, outer->source);
    if (ipv4_is_fragment(&packet)) {
        judge_fragment(judge, outer, &packet, &ce, kinds, now, out);
        return;
    }
    kinds |= judge_whole(judge, &packet, data, &ce, addresses == 0, &transport);
    count(judge, kinds, outer, &packet, &transport);
    if (kinds == 0 || judge->options->forward_violations) pass(out, data, packet.length);
}

void judge_expire(struct judge *judge, int64_t now) {
    fragment_expire(&judge->reassembly, now);
    if (judge->reassembly.expired > 0) {
        info_add(judge->stats, INFO_FRAGMENTS_EXPIRED, judge->reassembly.expired);
        judge->reassembly.expired = 0;
    }
}
