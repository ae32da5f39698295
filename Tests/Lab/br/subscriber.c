// SPDX-License-Identifier: GPL-3.0-or-later
// The B4s behind a DS-Lite AFTR: an open hash table that only grows.
#include "subscriber.h"

static unsigned place_of(uint32_t inner) {
    return inner * 0x9e3779b1u >> 16 & (SUBSCRIBERS_MAX - 1);
}

void subscriber_learn(struct subscriber_table *table, uint32_t inner, struct addr6 outer) {
    for (unsigned step = 0, i = place_of(inner); step < SUBSCRIBERS_MAX; step++, i = (i + 1) & (SUBSCRIBERS_MAX - 1)) {
        struct subscriber *entry = &table->entries[i];
        if (!entry->used) {
            // A table more than three quarters full would make every look-up slow.
            if (table->count >= SUBSCRIBERS_MAX / 4 * 3) break;
            *entry = (struct subscriber){.used = true, .inner = inner, .outer = outer};
            table->count++;
            return;
        }
        if (entry->inner != inner) continue;
        if (!addr6_equal(entry->outer, outer)) table->clashes++;
        entry->outer = outer;
        return;
    }
    table->overflow++;
}

bool subscriber_find(const struct subscriber_table *table, uint32_t inner, struct addr6 *outer) {
    for (unsigned step = 0, i = place_of(inner); step < SUBSCRIBERS_MAX; step++, i = (i + 1) & (SUBSCRIBERS_MAX - 1)) {
        const struct subscriber *entry = &table->entries[i];
        if (!entry->used) return false;
        if (entry->inner != inner) continue;
        *outer = entry->outer;
        return true;
    }
    return false;
}
