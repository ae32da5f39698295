// SPDX-License-Identifier: GPL-3.0-or-later
// See the header.

#define _GNU_SOURCE
#include "test_support.h"

#include <errno.h>
#include <sched.h>

int test_unshare_network(void) { return unshare(CLONE_NEWNET) == 0 ? 0 : errno; }
