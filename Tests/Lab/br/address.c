// SPDX-License-Identifier: GPL-3.0-or-later
// Text and wire forms of addresses.
#include "address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct addr6 addr6_from_wire(const uint8_t wire[16]) {
    struct addr6 out = {
        .hi = (uint64_t)load32(wire) << 32 | load32(wire + 4),
        .lo = (uint64_t)load32(wire + 8) << 32 | load32(wire + 12),
    };
    return out;
}

void addr6_to_wire(struct addr6 address, uint8_t wire[16]) {
    store32(wire, (uint32_t)(address.hi >> 32));
    store32(wire + 4, (uint32_t)address.hi);
    store32(wire + 8, (uint32_t)(address.lo >> 32));
    store32(wire + 12, (uint32_t)address.lo);
}

struct in6_addr addr6_to_in6(struct addr6 address) {
    struct in6_addr out;
    addr6_to_wire(address, out.s6_addr);
    return out;
}

bool addr6_parse(const char *text, struct addr6 *out) {
    struct in6_addr wire;
    if (inet_pton(AF_INET6, text, &wire) != 1) return false;
    *out = addr6_from_wire(wire.s6_addr);
    return true;
}

bool addr4_parse(const char *text, uint32_t *out) {
    struct in_addr wire;
    if (inet_pton(AF_INET, text, &wire) != 1) return false;
    *out = ntohl(wire.s_addr);
    return true;
}

bool number_parse(const char *text, unsigned long max, unsigned long *out) {
    // strtoul takes signs and blanks; a number of ours starts with a digit.
    if (!isdigit((unsigned char)text[0])) return false;
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || *end != '\0' || value > max) return false;
    *out = value;
    return true;
}

// Splits "ADDRESS/LENGTH" into a copy of the address part and the length.
static bool split_prefix(const char *text, char address[ADDRESS_TEXT], unsigned long max, unsigned *length) {
    const char *slash = strchr(text, '/');
    if (slash == NULL || (size_t)(slash - text) >= ADDRESS_TEXT) return false;
    memcpy(address, text, (size_t)(slash - text));
    address[slash - text] = '\0';
    unsigned long value;
    if (!number_parse(slash + 1, max, &value)) return false;
    *length = (unsigned)value;
    return true;
}

bool prefix6_parse(const char *text, struct addr6 *out, unsigned *length) {
    char address[ADDRESS_TEXT];
    return split_prefix(text, address, 128, length) && addr6_parse(address, out);
}

bool prefix4_parse(const char *text, uint32_t *out, unsigned *length) {
    char address[ADDRESS_TEXT];
    return split_prefix(text, address, 32, length) && addr4_parse(address, out);
}

const char *addr6_text(struct addr6 address, char text[ADDRESS_TEXT]) {
    struct in6_addr wire = addr6_to_in6(address);
    return inet_ntop(AF_INET6, &wire, text, ADDRESS_TEXT);
}

const char *addr4_text(uint32_t address, char text[ADDRESS_TEXT]) {
    struct in_addr wire = {.s_addr = htonl(address)};
    return inet_ntop(AF_INET, &wire, text, ADDRESS_TEXT);
}
