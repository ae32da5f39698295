// SPDX-License-Identifier: GPL-3.0-or-later
// The MAP-E arithmetic.
#include "rule.h"

#include <stdio.h>
#include <string.h>

static bool fail(char reason[REASON_TEXT], const char *why) {
    snprintf(reason, REASON_TEXT, "%s", why);
    return false;
}

static uint32_t mask4(unsigned length) {
    return length == 0 ? 0 : UINT32_MAX << (32 - length);
}

static uint64_t mask6_high(unsigned length) {
    return length >= 64 ? UINT64_MAX : ~low_bits(64 - length);
}

static bool rule_validate(const struct rule *rule, char reason[REASON_TEXT]) {
    if (rule->length6 + rule->ea_bits > 64) {
        // The identifier takes the low 64 bits, so rule and EA bits must fit above it.
        return fail(reason, "rule length plus EA bits is more than 64");
    }
    if ((rule->prefix6.hi & ~mask6_high(rule->length6)) != 0 || rule->prefix6.lo != 0) {
        return fail(reason, "the IPv6 prefix has bits set behind its length");
    }
    if ((rule->prefix4 & ~mask4(rule->length4)) != 0) {
        return fail(reason, "the IPv4 prefix has bits set behind its length");
    }
    unsigned suffix = 32 - rule->length4;
    unsigned expected = rule->ea_bits > suffix ? rule->ea_bits - suffix : 0;
    if (rule->psid_length != expected) {
        snprintf(reason, REASON_TEXT, "PSID length %u does not follow from the EA bits, which leave %u",
                 rule->psid_length, expected);
        return false;
    }
    if (rule->offset + rule->psid_length > 16) return fail(reason, "offset plus PSID length is more than 16");
    return true;
}

// Reads one "key=value" part behind the two prefixes.
static bool parse_attribute(const char *part, struct rule *rule, unsigned *seen, char reason[REASON_TEXT]) {
    static const char *const names[] = {"ea=", "offset=", "psid=", "iid="};
    unsigned which = 0;
    while (which < 4 && strncmp(part, names[which], strlen(names[which])) != 0) which++;
    if (which == 4) return fail(reason, "unknown part; known are ea, offset, psid, iid");
    if (*seen & 1u << which) return fail(reason, "a part is given twice");
    *seen |= 1u << which;
    const char *value = part + strlen(names[which]);
    if (which == 3) {
        if (strcmp(value, "draft-03") == 0) {
            rule->layout = LAYOUT_DRAFT03;
        } else if (strcmp(value, "rfc7597") == 0) {
            rule->layout = LAYOUT_RFC7597;
        } else {
            return fail(reason, "iid must be draft-03 or rfc7597");
        }
        return true;
    }
    static const unsigned long limits[] = {48, 16, 16};
    unsigned long number;
    if (!number_parse(value, limits[which], &number)) return fail(reason, "a number is missing or out of range");
    unsigned *const fields[] = {&rule->ea_bits, &rule->offset, &rule->psid_length};
    *fields[which] = (unsigned)number;
    return true;
}

bool rule_parse(const char *text, struct rule *out, char reason[REASON_TEXT]) {
    char copy[256];
    if (strlen(text) >= sizeof copy) return fail(reason, "the rule is too long");
    strcpy(copy, text);
    memset(out, 0, sizeof *out);
    char *rest = copy;
    char *part6 = strsep(&rest, ",");
    char *part4 = strsep(&rest, ",");
    if (!prefix6_parse(part6, &out->prefix6, &out->length6)) return fail(reason, "the IPv6 prefix is not valid");
    if (part4 == NULL || !prefix4_parse(part4, &out->prefix4, &out->length4)) {
        return fail(reason, "the IPv4 prefix is not valid");
    }
    unsigned seen = 0;
    for (char *part; (part = strsep(&rest, ",")) != NULL;) {
        if (!parse_attribute(part, out, &seen, reason)) return false;
    }
    if (seen != 15) return fail(reason, "ea, offset, psid and iid must all be given");
    return rule_validate(out, reason);
}

bool rule_set_add(struct rule_set *set, const struct rule *rule) {
    if (set->count == RULES_MAX) return false;
    set->rules[set->count++] = *rule;
    set->last6.valid = set->last4.valid = false;
    return true;
}

void rule_set_clear(struct rule_set *set) {
    set->count = 0;
    set->last6.valid = set->last4.valid = false;
}

const struct rule *rule_for_ipv6(struct rule_set *set, struct addr6 address) {
    // No rule is longer than 64 bits, so the high half alone decides.
    if (set->last6.valid && set->last6.hi == address.hi) return set->last6.rule;
    const struct rule *best = NULL;
    for (unsigned i = 0; i < set->count; i++) {
        const struct rule *rule = &set->rules[i];
        if ((address.hi & mask6_high(rule->length6)) != rule->prefix6.hi) continue;
        if (best == NULL || rule->length6 > best->length6) best = rule;
    }
    set->last6.valid = true;
    set->last6.hi = address.hi;
    set->last6.rule = best;
    return best;
}

const struct rule *rule_for_ipv4(struct rule_set *set, uint32_t address) {
    if (set->last4.valid && set->last4.ipv4 == address) return set->last4.rule;
    const struct rule *best = NULL;
    for (unsigned i = 0; i < set->count; i++) {
        const struct rule *rule = &set->rules[i];
        if ((address & mask4(rule->length4)) != rule->prefix4) continue;
        if (best == NULL || rule->length4 > best->length4) best = rule;
    }
    set->last4.valid = true;
    set->last4.ipv4 = address;
    set->last4.rule = best;
    return best;
}

// The end-user prefix with its EA bits, then zeros up to bit 64 (the subnet identifier of section 5.2), then the
// identifier of section 6.
static struct ce ce_build(const struct rule *rule, uint64_t ea) {
    struct ce out = {.rule = rule};
    unsigned suffix = 32 - rule->length4;
    out.address.hi = rule->prefix6.hi;
    // The shift is 64 only for a rule of length 0 without EA bits; there is nothing to place then.
    if (rule->ea_bits > 0) out.address.hi |= ea << (64 - rule->length6 - rule->ea_bits);
    if (rule->ea_bits >= suffix) {
        out.ipv4 = rule->prefix4 | (uint32_t)(ea >> rule->psid_length);
        out.ipv4_length = 32;
        out.psid = (uint16_t)(ea & low_bits(rule->psid_length));
    } else {
        out.ipv4 = rule->prefix4 | (uint32_t)(ea << (suffix - rule->ea_bits));
        out.ipv4_length = rule->length4 + rule->ea_bits;
    }
    if (rule->layout == LAYOUT_DRAFT03) {
        out.address.lo = (uint64_t)out.ipv4 << 24 | (uint64_t)out.psid << 8;
    } else {
        out.address.lo = (uint64_t)out.ipv4 << 16 | out.psid;
    }
    return out;
}

struct ce ce_from_prefix(const struct rule *rule, uint64_t hi) {
    uint64_t ea = 0;
    if (rule->ea_bits > 0) ea = hi >> (64 - rule->length6 - rule->ea_bits) & low_bits(rule->ea_bits);
    return ce_build(rule, ea);
}

// Section 5.1: a port is `a` bits of block number, `k` bits of PSID, the rest. -1 for ports that belong to nobody.
static int psid_of_port(const struct rule *rule, uint16_t port) {
    // Block 0 holds the system ports and is left out whenever there is a block number at all.
    if (rule->offset > 0 && port >> (16 - rule->offset) == 0) return -1;
    // Without block numbers PSID 0 owns the range from 0; port 0 itself is no port.
    if (port == 0) return -1;
    return (int)(port >> (16 - rule->offset - rule->psid_length) & (unsigned)low_bits(rule->psid_length));
}

bool ce_owns_port(const struct ce *ce, uint16_t port) {
    if (!rule_is_shared(ce->rule)) return true;
    return psid_of_port(ce->rule, port) == ce->psid;
}

bool ce_owns_ipv4(const struct ce *ce, uint32_t address) {
    return (address & mask4(ce->ipv4_length)) == ce->ipv4;
}

bool ce_for_ipv4(struct rule_set *set, uint32_t address, int port, struct ce *out) {
    const struct rule *rule = rule_for_ipv4(set, address);
    if (rule == NULL) return false;
    unsigned suffix = 32 - rule->length4;
    uint64_t host = address & ~mask4(rule->length4);
    if (!rule_is_shared(rule)) {
        *out = ce_build(rule, host >> (suffix - rule->ea_bits));
        return true;
    }
    if (port < 0) return false;
    int psid = psid_of_port(rule, (uint16_t)port);
    if (psid < 0) return false;
    *out = ce_build(rule, host << rule->psid_length | (unsigned)psid);
    return true;
}

bool ce_from_outer(struct rule_set *set, struct addr6 outer, struct ce *out) {
    const struct rule *rule = rule_for_ipv6(set, outer);
    if (rule == NULL) return false;
    *out = ce_from_prefix(rule, outer.hi);
    return addr6_equal(out->address, outer);
}

enum source_verdict source_check(struct rule_set *set, struct addr6 outer, uint32_t inner, int port, struct ce *out) {
    if (!ce_from_outer(set, outer, out)) return SOURCE_OUTER;
    if (!ce_owns_ipv4(out, inner)) return SOURCE_INNER;
    if (port >= 0 && !ce_owns_port(out, (uint16_t)port)) return SOURCE_PORT;
    return SOURCE_OK;
}
