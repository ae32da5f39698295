// SPDX-License-Identifier: GPL-3.0-or-later
// Builds packets to plant.
#include "craft.h"

#include <string.h>

#include "checksum.h"

enum { EMBEDDED_PAYLOAD = 8 }; // what RFC 792 promises of the packet inside an error

// Router alert plus padding: options that every router lets pass.
static const uint8_t ip_options[] = {148, 4, 0, 0};

static void write_checksum(uint8_t *field, uint16_t checksum, bool bad) {
    if (bad) {
        checksum ^= 0x5a5a;
        if (checksum == 0) checksum = 0x1234; // zero would mean "none" in UDP
    }
    store16(field, checksum);
}

// Writes an IPv4 header for a payload of `payload` bytes: its length.
static size_t write_ipv4(uint8_t *out, const struct craft *craft, uint8_t protocol, size_t payload, bool options,
                         bool bad) {
    size_t length = 20 + (options ? sizeof ip_options : 0);
    memset(out, 0, length);
    out[0] = (uint8_t)(0x40 | length / 4);
    out[1] = craft->tos;
    store16(out + 2, (uint16_t)(length + payload));
    store16(out + 4, craft->identification);
    store16(out + 6, craft->dont_fragment ? 0x4000 : 0);
    out[8] = craft->ttl;
    out[9] = protocol;
    store32(out + 12, craft->source);
    store32(out + 16, craft->destination);
    if (options) memcpy(out + 20, ip_options, sizeof ip_options);
    write_checksum(out + 10, (uint16_t)~checksum_sum(out, length), bad);
    return length;
}

static void fill(uint8_t *out, size_t length) {
    static const char text[] = "labplant";
    for (size_t i = 0; i < length; i++) out[i] = (uint8_t)text[i % 8];
}

// TCP or UDP with ports; the checksum follows from the addresses.
static size_t write_ports(uint8_t *out, const struct craft *craft, uint8_t protocol, size_t payload) {
    bool tcp = protocol == IPPROTO_TCP;
    size_t header = tcp ? 20 : 8, length = header + payload;
    memset(out, 0, header);
    store16(out, craft->source_port);
    store16(out + 2, craft->destination_port);
    if (tcp) {
        store32(out + 4, 1000);
        out[12] = 5 << 4;
        out[13] = 2; // SYN
        store16(out + 14, 65535);
    } else {
        store16(out + 4, (uint16_t)length);
    }
    fill(out + header, payload);
    if (craft->zero_checksum && !tcp) return length;
    uint16_t pseudo = checksum_pseudo(craft->source, craft->destination, protocol, length);
    uint16_t checksum = (uint16_t)~checksum_add(checksum_sum(out, length), pseudo);
    if (checksum == 0 && !tcp) checksum = 0xffff;
    write_checksum(out + (tcp ? 16 : 6), checksum, craft->bad_transport_checksum);
    return length;
}

static size_t write_echo(uint8_t *out, const struct craft *craft, uint8_t type, size_t payload) {
    memset(out, 0, 8);
    out[0] = type;
    store16(out + 4, craft->source_port);
    store16(out + 6, 1);
    fill(out + 8, payload);
    write_checksum(out + 2, (uint16_t)~checksum_sum(out, 8 + payload), craft->bad_transport_checksum);
    return 8 + payload;
}

// An error about the reverse flow: the packet inside came from this packet's destination and its port.
static size_t write_error(uint8_t *out, const struct craft *craft, uint8_t type, uint8_t code) {
    struct craft inside = *craft;
    inside.source = craft->embedded.source_given ? craft->embedded.source : craft->destination;
    inside.destination = craft->embedded.destination_given ? craft->embedded.destination : craft->source;
    inside.source_port = craft->destination_port;
    inside.destination_port = craft->source_port;
    inside.ttl = 1;
    inside.tos = 0;
    inside.bad_transport_checksum = inside.zero_checksum = false;
    uint8_t transport[64] = {0};
    uint8_t protocol = craft->embedded.protocol;
    if (protocol == IPPROTO_ICMP) {
        // An echo has one identifier, and it is the sender's.
        write_echo(transport, &inside, 8, 0);
    } else if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP) {
        write_ports(transport, &inside, protocol, 0);
    } else {
        fill(transport, EMBEDDED_PAYLOAD);
    }
    memset(out, 0, 8);
    out[0] = type;
    out[1] = code;
    if (craft->kind == CRAFT_TOO_BIG) store16(out + 6, craft->next_mtu);
    size_t header = write_ipv4(out + 8, &inside, protocol, EMBEDDED_PAYLOAD, craft->options, false);
    memcpy(out + 8 + header, transport, EMBEDDED_PAYLOAD);
    size_t length = 8 + header + EMBEDDED_PAYLOAD;
    write_checksum(out + 2, (uint16_t)~checksum_sum(out, length), craft->bad_transport_checksum);
    return length;
}

size_t craft_inner(const struct craft *craft, uint8_t out[CRAFT_MAX]) {
    bool error = craft->kind == CRAFT_UNREACH || craft->kind == CRAFT_TOO_BIG || craft->kind == CRAFT_EXCEEDED;
    bool options = craft->options && !error;
    size_t header = 20 + (options ? sizeof ip_options : 0), length = 0;
    uint8_t protocol = IPPROTO_ICMP;
    switch (craft->kind) {
    case CRAFT_UDP:
    case CRAFT_TCP:
        protocol = craft->kind == CRAFT_UDP ? IPPROTO_UDP : IPPROTO_TCP;
        length = write_ports(out + header, craft, protocol, craft->payload);
        break;
    case CRAFT_ECHO:
    case CRAFT_ECHO_REPLY:
        length = write_echo(out + header, craft, craft->kind == CRAFT_ECHO ? 8 : 0, craft->payload);
        break;
    case CRAFT_UNREACH:
        length = write_error(out + header, craft, 3, 3);
        break;
    case CRAFT_TOO_BIG:
        length = write_error(out + header, craft, 3, 4);
        break;
    case CRAFT_EXCEEDED:
        length = write_error(out + header, craft, 11, 0);
        break;
    case CRAFT_OTHER:
        protocol = craft->protocol;
        length = craft->payload;
        memset(out + header, 0, length < 8 ? length : 8); // reads as a plain GRE header
        if (length > 8) fill(out + header + 8, length - 8);
        break;
    }
    write_ipv4(out, craft, protocol, length, options, craft->bad_ip_checksum);
    return header + length;
}

void craft_fragments(const uint8_t *packet, size_t length, size_t size, bool reversed,
                     void (*each)(void *context, const uint8_t *data, size_t length), void *context) {
    static uint8_t piece[CRAFT_MAX];
    size_t header = (size_t)(packet[0] & 15) * 4, payload = length - header;
    size_t count = payload == 0 ? 1 : (payload + size - 1) / size;
    for (size_t i = 0; i < count; i++) {
        size_t offset = (reversed ? count - 1 - i : i) * size;
        size_t part = payload - offset < size ? payload - offset : size;
        memcpy(piece, packet, header);
        memcpy(piece + header, packet + header + offset, part);
        store16(piece + 2, (uint16_t)(header + part));
        store16(piece + 6, (uint16_t)(offset / 8 | (offset + part < payload ? 0x2000 : 0)));
        store16(piece + 10, 0);
        store16(piece + 10, (uint16_t)~checksum_sum(piece, header));
        each(context, piece, header + part);
    }
}

static void write_ipv6(uint8_t *out, const struct craft_outer *outer, uint8_t next, size_t payload) {
    store32(out, 6u << 28 | (uint32_t)outer->traffic_class << 20);
    store16(out + 4, (uint16_t)payload);
    out[6] = next;
    out[7] = outer->hop_limit;
    addr6_to_wire(outer->source, out + 8);
    addr6_to_wire(outer->destination, out + 24);
}

void craft_wrap(const struct craft_outer *outer, const uint8_t *inner, size_t length,
                void (*each)(void *context, const uint8_t *data, size_t length), void *context) {
    static uint8_t body[CRAFT_MAX + 8], packet[CRAFT_MAX + OUTER_MAX];
    // Destination option "tunnel encapsulation limit" = 4, padded to eight bytes; behind a fragment header, where an
    // option for the destination alone belongs.
    static const uint8_t limit[8] = {IPPROTO_IPIP, 0, 4, 1, 4, 1, 1, 0};
    size_t extra = outer->encapsulation_limit ? sizeof limit : 0;
    uint8_t next = outer->encapsulation_limit ? IPPROTO_DSTOPTS : IPPROTO_IPIP;
    memcpy(body, limit, extra);
    memcpy(body + extra, inner, length);
    length += extra;
    if (outer->fragment_size == 0) {
        write_ipv6(packet, outer, next, length);
        memcpy(packet + 40, body, length);
        each(context, packet, 40 + length);
        return;
    }
    for (size_t offset = 0; offset < length; offset += outer->fragment_size) {
        bool last = length - offset <= outer->fragment_size;
        size_t part = last ? length - offset : outer->fragment_size;
        write_ipv6(packet, outer, IPPROTO_FRAGMENT, 8 + part);
        packet[40] = next;
        packet[41] = 0;
        store16(packet + 42, (uint16_t)(offset | !last));
        store32(packet + 44, outer->identification);
        memcpy(packet + 48, body + offset, part);
        each(context, packet, 48 + part);
    }
}
