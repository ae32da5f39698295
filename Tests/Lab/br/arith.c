// SPDX-License-Identifier: GPL-3.0-or-later
// Mode map-arith. Requests:
//   rule RULE                add a rule
//   clear                    forget all rules
//   ce PREFIX/LEN            the CE of this user prefix
//   find IPV4 PORT           the CE that owns this address and port
//   judge IPV6 IPV4 PORT     what the judge says of this outer source, inner source and port
#include "arith.h"

#include <string.h>

#include "stats.h"

enum { ARGUMENTS_MAX = 4 };

static void answer_error(FILE *out, const char *why) {
    fprintf(out, "{\"error\": \"%s\"}\n", why);
}

static void answer_ce(FILE *out, const struct ce *ce) {
    char text[ADDRESS_TEXT];
    fprintf(out, "{\"ipv4\": \"%s\", \"ipv4Length\": %u", addr4_text(ce->ipv4, text), ce->ipv4_length);
    fprintf(out, ", \"psid\": %u, \"ce\": \"%s\", \"ranges\": ", ce->psid, addr6_text(ce->address, text));
    if (rule_is_shared(ce->rule)) {
        // Asked port by port, so that the answer shows the very test that packets meet.
        uint8_t bits[PORT_BYTES] = {0};
        for (unsigned port = 0; port < 65536; port++) {
            if (ce_owns_port(ce, (uint16_t)port)) bits[port / 8] |= (uint8_t)(1u << port % 8);
        }
        ranges_print(out, bits);
    } else {
        fputs("null", out);
    }
    fputs("}\n", out);
}

static void request_rule(struct rule_set *rules, char **arguments, FILE *out) {
    char reason[REASON_TEXT];
    struct rule rule;
    if (!rule_parse(arguments[1], &rule, reason)) {
        answer_error(out, reason);
    } else if (!rule_set_add(rules, &rule)) {
        answer_error(out, "too many rules");
    } else {
        fputs("{\"ok\": true}\n", out);
    }
}

static void request_ce(struct rule_set *rules, char **arguments, FILE *out) {
    struct addr6 prefix;
    unsigned length;
    if (!prefix6_parse(arguments[1], &prefix, &length)) {
        answer_error(out, "not an IPv6 prefix");
        return;
    }
    const struct rule *rule = rule_for_ipv6(rules, prefix);
    if (rule == NULL) {
        answer_error(out, "no rule");
    } else if (length < rule->length6 + rule->ea_bits) {
        // RFC 7597 section 5.2: the end-user prefix carries all EA bits.
        answer_error(out, "user prefix too short");
    } else {
        struct ce ce = ce_from_prefix(rule, prefix.hi);
        answer_ce(out, &ce);
    }
}

static void request_find(struct rule_set *rules, char **arguments, FILE *out) {
    uint32_t address;
    unsigned long port;
    struct ce ce;
    if (!addr4_parse(arguments[1], &address) || !number_parse(arguments[2], 65535, &port)) {
        answer_error(out, "not an IPv4 address and a port");
    } else if (ce_for_ipv4(rules, address, (int)port, &ce)) {
        answer_ce(out, &ce);
    } else {
        fputs("{\"ce\": null}\n", out);
    }
}

static void request_judge(struct rule_set *rules, char **arguments, FILE *out) {
    static const char *const names[] = {"ok", "outer-source", "inner-source", "port-set"};
    struct addr6 outer;
    uint32_t inner;
    unsigned long port;
    struct ce ce;
    if (!addr6_parse(arguments[1], &outer) || !addr4_parse(arguments[2], &inner) ||
        !number_parse(arguments[3], 65535, &port)) {
        answer_error(out, "not an IPv6 address, an IPv4 address and a port");
        return;
    }
    fprintf(out, "{\"verdict\": \"%s\"}\n", names[source_check(rules, outer, inner, (int)port, &ce)]);
}

static void request_clear(struct rule_set *rules, char **arguments, FILE *out) {
    (void)arguments;
    rule_set_clear(rules);
    fputs("{\"ok\": true}\n", out);
}

static void answer(struct rule_set *rules, char *line, FILE *out) {
    static const struct {
        const char *name;
        unsigned count;
        void (*run)(struct rule_set *, char **, FILE *);
    } requests[] = {
        {"rule", 2, request_rule},   {"clear", 1, request_clear}, {"ce", 2, request_ce},
        {"find", 3, request_find}, {"judge", 4, request_judge},
    };
    char *arguments[ARGUMENTS_MAX] = {NULL};
    unsigned count = 0;
    for (char *word; (word = strsep(&line, " ")) != NULL && count < ARGUMENTS_MAX;) arguments[count++] = word;
    for (unsigned i = 0; i < sizeof requests / sizeof *requests; i++) {
        if (strcmp(arguments[0], requests[i].name) != 0) continue;
        if (count == requests[i].count && line == NULL) {
            requests[i].run(rules, arguments, out);
        } else {
            answer_error(out, "wrong number of arguments");
        }
        return;
    }
    answer_error(out, "unknown request");
}

int arith_run(struct rule_set *rules, FILE *in, FILE *out) {
    char line[512];
    while (fgets(line, sizeof line, in) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        answer(rules, line, out);
        fflush(out);
    }
    return ferror(in) || ferror(out) ? 1 : 0;
}
