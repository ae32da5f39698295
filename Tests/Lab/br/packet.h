// SPDX-License-Identifier: GPL-3.0-or-later
// Reading inner IPv4 packets: header, transport header, and the packet inside an ICMP error. Nothing here judges.
#ifndef LAB_PACKET_H
#define LAB_PACKET_H

#include "address.h"

enum { IPV4_HEADER = 20, PACKET_MAX = 65535 };

// The IPv4 header of a packet whose lengths have been found sound.
struct ipv4 {
    const uint8_t *data;
    size_t length;        // total length field
    size_t header_length;
    uint32_t source, destination;
    uint16_t identification;
    uint16_t fragment_offset; // in bytes
    bool more_fragments;
    uint8_t ttl, tos, protocol;
    const uint8_t *payload;
    size_t payload_length;
};

static inline bool ipv4_is_fragment(const struct ipv4 *packet) {
    return packet->fragment_offset > 0 || packet->more_fragments;
}

// False: not IPv4, or a length does not fit the bytes there are.
bool ipv4_parse(const uint8_t *data, size_t available, struct ipv4 *out);
bool ipv4_header_checksum_ok(const struct ipv4 *packet);

enum transport_kind {
    TRANSPORT_SHORT,   // the header is cut
    TRANSPORT_PORTS,   // TCP, UDP and others with ports in their first four bytes
    TRANSPORT_QUERY,   // ICMP with an identifier, which MAP treats as a port (RFC 7597 section 8.2)
    TRANSPORT_ERROR,   // ICMP with a packet inside
    TRANSPORT_NO_PORT, // everything else: GRE, ESP, ICMP redirects …
};

// The packet that an ICMP error speaks of.
struct embedded {
    bool readable;    // a whole IPv4 header, no fragment behind the first, and enough of the transport header
    bool checksum_ok; // of its IPv4 header
    uint32_t source, destination;
    int source_port, destination_port; // or the query identifier in both
};

struct transport {
    enum transport_kind kind;
    int source_port, destination_port; // PORTS and QUERY
    struct embedded embedded;          // ERROR
};

// Reads the transport header of a packet that is whole, or a first fragment.
void transport_parse(const struct ipv4 *packet, struct transport *out);

enum checksum_verdict {
    CHECKSUM_OK,
    CHECKSUM_BAD,
    CHECKSUM_ABSENT,  // UDP's zero
    CHECKSUM_PARTIAL, // the field holds the pseudo-header sum: some kernel left the rest to a network card
    CHECKSUM_CUT,     // a length inside the transport header does not fit
    CHECKSUM_UNKNOWN, // a protocol whose checksum is not known here
};

// Verifies the transport checksum over a whole, unfragmented packet.
enum checksum_verdict transport_checksum(const struct ipv4 *packet);

#endif
