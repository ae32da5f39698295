// SPDX-License-Identifier: GPL-3.0-or-later
// DS-Lite: which B4 an inner address was last seen behind. A real AFTR keeps this per flow inside its NAT; here the NAT
// is the namespace's own, so one inner address can belong to one B4 only, and a clash is counted.
#ifndef LAB_SUBSCRIBER_H
#define LAB_SUBSCRIBER_H

#include "address.h"

enum { SUBSCRIBERS_MAX = 4096 };

struct subscriber {
    bool used;
    uint32_t inner;
    struct addr6 outer;
};

struct subscriber_table {
    struct subscriber entries[SUBSCRIBERS_MAX];
    unsigned count;
    uint64_t clashes;  // an inner address moved from one B4 to another
    uint64_t overflow; // addresses that found no room
};

void subscriber_learn(struct subscriber_table *table, uint32_t inner, struct addr6 outer);
bool subscriber_find(const struct subscriber_table *table, uint32_t inner, struct addr6 *outer);

#endif
