// SPDX-License-Identifier: GPL-3.0-or-later
// The MAP-E arithmetic of RFC 7597 sections 5 and 6: mapping rules, port sets, CE addresses in both identifier layouts.
// Written from the RFC alone and checked on golden vectors; the product has its own code for the same sums.
#ifndef LAB_RULE_H
#define LAB_RULE_H

#include "address.h"

enum identifier_layout {
    LAYOUT_RFC7597, // 16 zero bits, IPv4 address, PSID in 16 bits
    LAYOUT_DRAFT03, // 8 zero bits, IPv4 address, PSID in 16 bits, 8 zero bits: what Japanese lines use
};

struct rule {
    struct addr6 prefix6;
    unsigned length6;
    uint32_t prefix4;
    unsigned length4;
    unsigned ea_bits;
    unsigned offset;      // "a": ports whose first `a` bits are zero belong to nobody
    unsigned psid_length; // "k"
    enum identifier_layout layout;
};

// What one CE owns.
struct ce {
    const struct rule *rule;
    struct addr6 address;
    uint32_t ipv4;        // the address, or the first of its prefix
    unsigned ipv4_length; // 32, or less where the rule hands out whole IPv4 prefixes
    uint16_t psid;
};

enum { RULES_MAX = 1024, REASON_TEXT = 128 };

struct rule_set {
    struct rule rules[RULES_MAX];
    unsigned count;
    // The last hit of each look-up, keyed by the exact input that decided it. One line means one CE: this saves the
    // walk over hundreds of rules for every packet.
    struct {
        bool valid;
        uint64_t hi;
        const struct rule *rule;
    } last6;
    struct {
        bool valid;
        uint32_t ipv4;
        const struct rule *rule;
    } last4;
};

// "IPV6/LEN,IPV4/LEN,ea=N,offset=N,psid=N,iid=draft-03|rfc7597". On failure `reason` says why.
bool rule_parse(const char *text, struct rule *out, char reason[REASON_TEXT]);
// False when the table is full.
bool rule_set_add(struct rule_set *set, const struct rule *rule);
void rule_set_clear(struct rule_set *set);

// Longest match. NULL when no rule covers the address.
const struct rule *rule_for_ipv6(struct rule_set *set, struct addr6 address);
const struct rule *rule_for_ipv4(struct rule_set *set, uint32_t address);

// The CE whose end-user prefix starts with `hi` (bits 0..63 of any address of it).
struct ce ce_from_prefix(const struct rule *rule, uint64_t hi);
// The CE that owns this IPv4 address and port. `port` < 0: the packet has none, and only an unshared address will do.
bool ce_for_ipv4(struct rule_set *set, uint32_t address, int port, struct ce *out);

// True when several CEs share one IPv4 address.
static inline bool rule_is_shared(const struct rule *rule) {
    return rule->psid_length > 0;
}
// Whether the CE may use this port (or ICMP query identifier).
bool ce_owns_port(const struct ce *ce, uint16_t port);
bool ce_owns_ipv4(const struct ce *ce, uint32_t address);

// What an outer source, an inner source and a port say about each other.
enum source_verdict { SOURCE_OK, SOURCE_OUTER, SOURCE_INNER, SOURCE_PORT };
// Finds the CE behind an outer source: false when no rule covers it or its low bits are not the identifier that the
// rule gives.
bool ce_from_outer(struct rule_set *set, struct addr6 outer, struct ce *out);
enum source_verdict source_check(struct rule_set *set, struct addr6 outer, uint32_t inner, int port, struct ce *out);

#endif
