// SPDX-License-Identifier: GPL-3.0-or-later
// Addresses as plain numbers, so that the mapping arithmetic is shifts and masks and nothing else.
#ifndef LAB_ADDRESS_H
#define LAB_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// An IPv6 address: `hi` holds bits 0..63 (network), `lo` bits 64..127 (interface identifier).
struct addr6 {
    uint64_t hi, lo;
};

// Room for the longest text of an IPv6 address with its NUL.
enum { ADDRESS_TEXT = 46 };

static inline bool addr6_equal(struct addr6 a, struct addr6 b) {
    return a.hi == b.hi && a.lo == b.lo;
}

// Ones in the `count` lowest bits; a shift by 64 is undefined in C, hence the guard.
static inline uint64_t low_bits(unsigned count) {
    return count >= 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1;
}

static inline uint16_t load16(const uint8_t *p) {
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t load32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void store16(uint8_t *p, uint16_t value) {
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

static inline void store32(uint8_t *p, uint32_t value) {
    store16(p, (uint16_t)(value >> 16));
    store16(p + 2, (uint16_t)value);
}

struct addr6 addr6_from_wire(const uint8_t wire[16]);
void addr6_to_wire(struct addr6 address, uint8_t wire[16]);
struct in6_addr addr6_to_in6(struct addr6 address);

// The parsers accept exactly one address (no prefix, no zone, no surrounding blanks).
bool addr6_parse(const char *text, struct addr6 *out);
bool addr4_parse(const char *text, uint32_t *out);
// A decimal number with no sign, blank or leftover.
bool number_parse(const char *text, unsigned long max, unsigned long *out);
// "ADDRESS/LENGTH".
bool prefix6_parse(const char *text, struct addr6 *out, unsigned *length);
bool prefix4_parse(const char *text, uint32_t *out, unsigned *length);

const char *addr6_text(struct addr6 address, char text[ADDRESS_TEXT]);
const char *addr4_text(uint32_t address, char text[ADDRESS_TEXT]);

#endif
