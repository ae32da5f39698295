// SPDX-License-Identifier: GPL-3.0-or-later
// Counters and their JSON form.
#include "stats.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const violation_names[] = {
#define X(kind, name) name,
    VIOLATIONS(X)
#undef X
};

static const char *const info_names[] = {
#define X(kind, name) name,
    INFOS(X)
#undef X
};

const char *violation_name(enum violation kind) {
    return violation_names[kind];
}

bool stats_init(struct stats *stats, const char *mode) {
    memset(stats, 0, sizeof *stats);
    stats->mode = mode;
    stats->ces = calloc(CES_MAX, sizeof *stats->ces);
    return stats->ces != NULL;
}

void stats_reset(struct stats *stats) {
    memset(stats->violations, 0, sizeof stats->violations);
    memset(stats->infos, 0, sizeof stats->infos);
    memset(stats->ces, 0, CES_MAX * sizeof *stats->ces);
    stats->ce_count = stats->ce_last = 0;
    stats->recent_count = 0;
    stats->resets++;
    stats->changed = true;
}

struct ce_record *stats_ce(struct stats *stats, const struct ce *ce) {
    if (stats->ce_last < stats->ce_count && addr6_equal(stats->ces[stats->ce_last].address, ce->address)) {
        return &stats->ces[stats->ce_last];
    }
    for (unsigned i = 0; i < stats->ce_count; i++) {
        if (!addr6_equal(stats->ces[i].address, ce->address)) continue;
        stats->ce_last = i;
        return &stats->ces[i];
    }
    if (stats->ce_count == CES_MAX) return NULL;
    struct ce_record *record = &stats->ces[stats->ce_count];
    stats->ce_last = stats->ce_count++;
    record->address = ce->address;
    record->ipv4 = ce->ipv4;
    record->psid = ce->psid;
    return record;
}

void stats_port(struct ce_record *record, enum port_space space, uint16_t port) {
    record->ports[space][port / 8] |= (uint8_t)(1u << port % 8);
}

char *stats_recent(struct stats *stats) {
    return stats->recent[stats->recent_count++ % RECENT_MAX];
}

static bool bit(const uint8_t *bits, unsigned port) {
    return bits[port / 8] >> port % 8 & 1;
}

void ranges_print(FILE *out, const uint8_t bits[PORT_BYTES]) {
    fputc('[', out);
    const char *comma = "";
    for (unsigned port = 0; port < 65536; port++) {
        if (bits[port / 8] == 0) {
            port |= 7; // nothing in these eight
            continue;
        }
        if (!bit(bits, port)) continue;
        unsigned first = port;
        while (port < 65535 && bit(bits, port + 1)) port++;
        fprintf(out, "%s[%u,%u]", comma, first, port);
        comma = ",";
    }
    fputc(']', out);
}

static unsigned count_bits(const uint8_t bits[PORT_BYTES]) {
    unsigned count = 0;
    for (unsigned i = 0; i < PORT_BYTES; i++) count += (unsigned)__builtin_popcount(bits[i]);
    return count;
}

static void print_counters(FILE *out, const char *title, const char *const names[], const uint64_t values[],
                           unsigned count) {
    fprintf(out, "  \"%s\": {", title);
    for (unsigned i = 0; i < count; i++) {
        fprintf(out, "%s\n    \"%s\": %" PRIu64, i > 0 ? "," : "", names[i], values[i]);
    }
    fprintf(out, "\n  }");
}

static void print_ces(const struct stats *stats, FILE *out) {
    static const char *const spaces[] = {"tcp", "udp", "icmp"};
    char text[ADDRESS_TEXT];
    uint8_t all[PORT_BYTES] = {0};
    fprintf(out, ",\n  \"ces\": [");
    for (unsigned i = 0; i < stats->ce_count; i++) {
        const struct ce_record *record = &stats->ces[i];
        fprintf(out, "%s\n    {\"address\": \"%s\"", i > 0 ? "," : "", addr6_text(record->address, text));
        fprintf(out, ", \"ipv4\": \"%s\", \"psid\": %u, \"packets\": %" PRIu64, addr4_text(record->ipv4, text),
                record->psid, record->packets);
        for (unsigned space = 0; space < PORT_SPACES; space++) {
            fprintf(out, ", \"%s-count\": %u", spaces[space], count_bits(record->ports[space]));
            fprintf(out, ", \"%s\": ", spaces[space]);
            ranges_print(out, record->ports[space]);
        }
        fputc('}', out);
        // The list of all ports is about ports: identifiers of pings are beside it, per CE.
        for (unsigned b = 0; b < PORT_BYTES; b++) all[b] |= record->ports[PORTS_TCP][b] | record->ports[PORTS_UDP][b];
    }
    fprintf(out, "],\n  \"port-count\": %u,\n  \"ports\": ", count_bits(all));
    ranges_print(out, all);
}

static void print_subscribers(const struct subscriber_table *table, FILE *out) {
    char text[ADDRESS_TEXT];
    const char *comma = "";
    fprintf(out, ",\n  \"subscribers\": [");
    for (unsigned i = 0; i < SUBSCRIBERS_MAX; i++) {
        const struct subscriber *entry = &table->entries[i];
        if (!entry->used) continue;
        fprintf(out, "%s\n    {\"inner\": \"%s\"", comma, addr4_text(entry->inner, text));
        fprintf(out, ", \"outer\": \"%s\"}", addr6_text(entry->outer, text));
        comma = ",";
    }
    fputc(']', out);
}

static void print_json(const struct stats *stats, FILE *out, const struct subscriber_table *subscribers) {
    uint64_t total = 0;
    for (unsigned i = 0; i < VIOLATION_COUNT; i++) total += stats->violations[i];
    fprintf(out, "{\n  \"mode\": \"%s\",\n  \"pid\": %d,\n  \"sequence\": %" PRIu64 ",\n  \"resets\": %" PRIu64 ",\n",
            stats->mode, (int)getpid(), stats->sequence, stats->resets);
    fprintf(out, "  \"violations_total\": %" PRIu64 ",\n", total);
    print_counters(out, "violations", violation_names, stats->violations, VIOLATION_COUNT);
    fputs(",\n", out);
    print_counters(out, "info", info_names, stats->infos, INFO_COUNT);
    fprintf(out, ",\n  \"recent\": [");
    uint64_t first = stats->recent_count > RECENT_MAX ? stats->recent_count - RECENT_MAX : 0;
    for (uint64_t i = first; i < stats->recent_count; i++) {
        // The words are made of names, addresses and numbers: nothing that JSON would want escaped.
        fprintf(out, "%s\n    \"%s\"", i > first ? "," : "", stats->recent[i % RECENT_MAX]);
    }
    fputc(']', out);
    print_ces(stats, out);
    if (subscribers != NULL) print_subscribers(subscribers, out);
    fputs("\n}\n", out);
}

bool stats_write(struct stats *stats, const char *path, const struct subscriber_table *subscribers) {
    char temporary[4096];
    if (snprintf(temporary, sizeof temporary, "%s.new", path) >= (int)sizeof temporary) return false;
    FILE *out = fopen(temporary, "we");
    if (out == NULL) return false;
    stats->sequence++;
    print_json(stats, out, subscribers);
    bool written = ferror(out) == 0;
    if (fclose(out) != 0 || !written) {
        unlink(temporary);
        return false;
    }
    if (rename(temporary, path) != 0) return false;
    stats->changed = false;
    return true;
}
