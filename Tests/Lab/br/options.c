// SPDX-License-Identifier: GPL-3.0-or-later
// The command line of labbr.
#include "options.h"

#include <getopt.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "labbr --mode map-e --relay ADDR… --rule RULE… --tun NAME --stats FILE [options]\n"
    "labbr --mode aftr --relay ADDR… --tun NAME --stats FILE [options]\n"
    "labbr --mode map-arith [--rule RULE…]      (requests on standard input, see README.md)\n"
    "\n"
    "  RULE is IPV6/LEN,IPV4/LEN,ea=N,offset=N,psid=N,iid=draft-03|rfc7597\n"
    "  --rule-file FILE            one RULE a line; a blank or # ends it\n"
    "  --reply-from ADDR           outer source of what is sent down (default: the first --relay)\n"
    "  --ignore ADDR               packets to this local address are another program's: no judgement\n"
    "  --mtu N                     of the TUN device (default 1500)\n"
    "  --min-hop-limit N           outer hop limit below this is a violation (default 32)\n"
    "  --forward-violations        pass on what violates, after counting\n"
    "  --accept-partial-checksums  finish checksums that a kernel left to a network card, and count them as info\n"
    "  --mesh                      CEs may talk directly; changes nothing here: `hairpin` counts what did not\n"
    "\n"
    "Signals: TERM ends, USR1 writes the statistics now, USR2 sets every counter to zero.\n";

static bool complain(const char *what, const char *value) {
    fprintf(stderr, "labbr: %s: %s\n", what, value);
    return false;
}

static bool add_address(const char *text, struct addr6 *list, unsigned *count) {
    if (*count == RELAYS_MAX) return complain("too many addresses", text);
    if (!addr6_parse(text, &list[*count])) return complain("not an IPv6 address", text);
    (*count)++;
    return true;
}

static bool add_rule(const char *text, struct rule_set *rules) {
    char reason[REASON_TEXT];
    struct rule rule;
    if (!rule_parse(text, &rule, reason)) {
        fprintf(stderr, "labbr: rule %s: %s\n", text, reason);
        return false;
    }
    return rule_set_add(rules, &rule) || complain("too many rules", text);
}

static bool add_rule_file(const char *path, struct rule_set *rules) {
    FILE *file = fopen(path, "re");
    if (file == NULL) return complain("cannot be opened", path);
    char line[512];
    bool good = true;
    while (good && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, " #\n")] = '\0';
        if (line[0] != '\0') good = add_rule(line, rules);
    }
    fclose(file);
    return good;
}

static bool take_number(const char *text, unsigned long min, unsigned long max, unsigned *out) {
    unsigned long value;
    if (!number_parse(text, max, &value) || value < min) return complain("number out of range", text);
    *out = (unsigned)value;
    return true;
}

static bool take_mode(const char *text, enum mode *out) {
    static const char *const names[] = {"map-e", "aftr", "map-arith"};
    for (unsigned i = 0; i < 3; i++) {
        if (strcmp(text, names[i]) != 0) continue;
        *out = (enum mode)i;
        return true;
    }
    return complain("unknown mode", text);
}

static bool check(const struct options *options, bool mode_given) {
    if (!mode_given) return complain("missing", "--mode");
    if (options->mode == MODE_MAP_ARITH) return true;
    if (options->relay_count == 0) return complain("missing", "--relay");
    if (options->tun == NULL) return complain("missing", "--tun");
    if (options->stats_path == NULL) return complain("missing", "--stats");
    if (strlen(options->tun) >= IF_NAMESIZE) return complain("device name too long", options->tun);
    if (options->mode == MODE_MAP_E && options->rules.count == 0) return complain("missing", "--rule");
    if (options->mode == MODE_AFTR && options->rules.count > 0) return complain("not for DS-Lite", "--rule");
    return true;
}

bool options_parse(int argc, char **argv, struct options *out, int *status) {
    enum {
        MODE = 1, RELAY, RULE, RULE_FILE, TUN, STATS, REPLY_FROM, IGNORE, MTU, MIN_HOP_LIMIT, FORWARD, PARTIAL, MESH, HELP
    };
    static const struct option known[] = {
        {"mode", required_argument, NULL, MODE},
        {"relay", required_argument, NULL, RELAY},
        {"rule", required_argument, NULL, RULE},
        {"rule-file", required_argument, NULL, RULE_FILE},
        {"tun", required_argument, NULL, TUN},
        {"stats", required_argument, NULL, STATS},
        {"reply-from", required_argument, NULL, REPLY_FROM},
        {"ignore", required_argument, NULL, IGNORE},
        {"mtu", required_argument, NULL, MTU},
        {"min-hop-limit", required_argument, NULL, MIN_HOP_LIMIT},
        {"forward-violations", no_argument, NULL, FORWARD},
        {"accept-partial-checksums", no_argument, NULL, PARTIAL},
        {"mesh", no_argument, NULL, MESH},
        {"help", no_argument, NULL, HELP},
        {0},
    };
    memset(out, 0, sizeof *out);
    out->mtu = 1500;
    out->min_hop_limit = 32;
    *status = 2;
    bool mode_given = false, good = true;
    for (int option; good && (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case MODE:
            mode_given = good = take_mode(optarg, &out->mode);
            break;
        case RELAY:
            good = add_address(optarg, out->relays, &out->relay_count);
            break;
        case RULE:
            good = add_rule(optarg, &out->rules);
            break;
        case RULE_FILE:
            good = add_rule_file(optarg, &out->rules);
            break;
        case TUN:
            out->tun = optarg;
            break;
        case STATS:
            out->stats_path = optarg;
            break;
        case REPLY_FROM:
            good = addr6_parse(optarg, &out->reply_from) || complain("not an IPv6 address", optarg);
            out->reply_from_given = good;
            break;
        case IGNORE:
            good = add_address(optarg, out->ignored, &out->ignored_count);
            break;
        case MTU:
            good = take_number(optarg, 68, 65535, &out->mtu);
            break;
        case MIN_HOP_LIMIT:
            good = take_number(optarg, 0, 255, &out->min_hop_limit);
            break;
        case FORWARD:
            out->forward_violations = true;
            break;
        case PARTIAL:
            out->accept_partial_checksums = true;
            break;
        case MESH:
            break;
        case HELP:
            fputs(usage, stdout);
            *status = 0;
            return false;
        default:
            good = false;
        }
    }
    if (good && optind < argc) good = complain("unexpected argument", argv[optind]);
    return good && check(out, mode_given);
}
