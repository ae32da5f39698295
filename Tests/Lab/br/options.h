// SPDX-License-Identifier: GPL-3.0-or-later
// The command line of labbr.
#ifndef LAB_OPTIONS_H
#define LAB_OPTIONS_H

#include "rule.h"

enum mode { MODE_MAP_E, MODE_AFTR, MODE_MAP_ARITH };
enum { RELAYS_MAX = 8 };

struct options {
    enum mode mode;
    struct rule_set rules;
    struct addr6 relays[RELAYS_MAX];
    unsigned relay_count;
    struct addr6 ignored[RELAYS_MAX];
    unsigned ignored_count;
    bool reply_from_given;
    struct addr6 reply_from;
    const char *tun;
    unsigned mtu;
    const char *stats_path;
    bool forward_violations;
    bool accept_partial_checksums;
    unsigned min_hop_limit;
};

// Returns true, or prints what is wrong. `*status` is the exit status when false (0 after --help).
bool options_parse(int argc, char **argv, struct options *out, int *status);

#endif
