// SPDX-License-Identifier: GPL-3.0-or-later
// Reading inner IPv4 packets.
#include "packet.h"

#include <string.h>

#include "checksum.h"

enum { DCCP = 33, UDPLITE = 136 };

// Fills the fields from a header that is there in full; the caller has checked version and header length.
static void read_header(const uint8_t *data, size_t header_length, struct ipv4 *out) {
    uint16_t fragment = load16(data + 6);
    out->data = data;
    out->header_length = header_length;
    out->length = load16(data + 2);
    out->tos = data[1];
    out->identification = load16(data + 4);
    out->fragment_offset = (uint16_t)((fragment & 0x1fff) * 8);
    out->more_fragments = (fragment & 0x2000) != 0;
    out->ttl = data[8];
    out->protocol = data[9];
    out->source = load32(data + 12);
    out->destination = load32(data + 16);
}

// The header's length in bytes, 0 when there is no whole IPv4 header.
static size_t header_length_of(const uint8_t *data, size_t available) {
    if (available < IPV4_HEADER || data[0] >> 4 != 4) return 0;
    size_t length = (size_t)(data[0] & 15) * 4;
    return length >= IPV4_HEADER && length <= available ? length : 0;
}

bool ipv4_parse(const uint8_t *data, size_t available, struct ipv4 *out) {
    size_t header_length = header_length_of(data, available);
    if (header_length == 0) return false;
    read_header(data, header_length, out);
    if (out->length < header_length || out->length > available) return false;
    out->payload = data + header_length;
    out->payload_length = out->length - header_length;
    return true;
}

bool ipv4_header_checksum_ok(const struct ipv4 *packet) {
    return checksum_sum(packet->data, packet->header_length) == 0xffff;
}

static bool is_query(uint8_t type) {
    // Echo, timestamp, information and address mask, each with its reply.
    return type == 0 || type == 8 || (type >= 13 && type <= 18);
}

static bool is_error(uint8_t type) {
    // Unreachable, source quench, time exceeded, parameter problem. A redirect (5) also carries a packet, but no router
    // may pass one on.
    return type == 3 || type == 4 || type == 11 || type == 12;
}

static bool has_ports(uint8_t protocol) {
    return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == DCCP || protocol == IPPROTO_SCTP ||
           protocol == UDPLITE;
}

static void embedded_parse(const uint8_t *data, size_t available, struct embedded *out) {
    size_t header_length = header_length_of(data, available);
    if (header_length == 0) return;
    struct ipv4 inside;
    read_header(data, header_length, &inside);
    out->source = inside.source;
    out->destination = inside.destination;
    out->checksum_ok = ipv4_header_checksum_ok(&inside);
    const uint8_t *payload = data + header_length;
    size_t rest = available - header_length;
    // RFC 792 promises eight bytes. A later fragment has no ports, and nothing can be found by it.
    if (rest < 8 || inside.fragment_offset > 0) return;
    if (has_ports(inside.protocol)) {
        out->source_port = load16(payload);
        out->destination_port = load16(payload + 2);
    } else if (inside.protocol == IPPROTO_ICMP && is_query(payload[0])) {
        out->source_port = out->destination_port = load16(payload + 4);
    } else {
        return;
    }
    out->readable = true;
}

void transport_parse(const struct ipv4 *packet, struct transport *out) {
    memset(out, 0, sizeof *out);
    const uint8_t *data = packet->payload;
    size_t length = packet->payload_length;
    out->kind = TRANSPORT_NO_PORT;
    if (has_ports(packet->protocol)) {
        // Eight bytes is the shortest of these headers (UDP); whatever is shorter is cut.
        out->kind = length < 8 ? TRANSPORT_SHORT : TRANSPORT_PORTS;
        if (length < 8) return;
        out->source_port = load16(data);
        out->destination_port = load16(data + 2);
    } else if (packet->protocol == IPPROTO_ICMP) {
        out->kind = TRANSPORT_SHORT;
        if (length < 8) return;
        out->kind = TRANSPORT_NO_PORT;
        if (is_query(data[0])) {
            out->kind = TRANSPORT_QUERY;
            out->source_port = out->destination_port = load16(data + 4);
        } else if (is_error(data[0])) {
            out->kind = TRANSPORT_ERROR;
            embedded_parse(data + 8, length - 8, &out->embedded);
        }
    }
}

enum checksum_verdict transport_checksum(const struct ipv4 *packet) {
    const uint8_t *data = packet->payload;
    size_t length = packet->payload_length;
    size_t field;
    switch (packet->protocol) {
    case IPPROTO_TCP:
        if (length < 20 || data[12] >> 4 < 5 || (size_t)(data[12] >> 4) * 4 > length) return CHECKSUM_CUT;
        field = 16;
        break;
    case IPPROTO_UDP:
        if (length < 8 || load16(data + 4) < 8 || load16(data + 4) > length) return CHECKSUM_CUT;
        if (load16(data + 6) == 0) return CHECKSUM_ABSENT;
        // UDP counts its own length, not what the IP header leaves.
        length = load16(data + 4);
        field = 6;
        break;
    case IPPROTO_ICMP:
        if (length < 8) return CHECKSUM_CUT;
        return checksum_sum(data, length) == 0xffff ? CHECKSUM_OK : CHECKSUM_BAD;
    default:
        return CHECKSUM_UNKNOWN;
    }
    uint16_t pseudo = checksum_pseudo(packet->source, packet->destination, packet->protocol, length);
    if (checksum_add(checksum_sum(data, length), pseudo) == 0xffff) return CHECKSUM_OK;
    return load16(data + field) == pseudo ? CHECKSUM_PARTIAL : CHECKSUM_BAD;
}
