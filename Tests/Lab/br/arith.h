// SPDX-License-Identifier: GPL-3.0-or-later
// Mode map-arith: the judge's arithmetic by itself, one request a line, one JSON answer a line, so that a test can feed
// it the golden vectors.
#ifndef LAB_ARITH_H
#define LAB_ARITH_H

#include <stdio.h>

#include "rule.h"

// Runs until the input ends. The exit status of the program.
int arith_run(struct rule_set *rules, FILE *in, FILE *out);

#endif
