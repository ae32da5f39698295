// SPDX-License-Identifier: GPL-3.0-or-later
// See the header.

#define _GNU_SOURCE
#include "test_support.h"

#include <dlfcn.h>
#include <errno.h>
#include <sched.h>

int test_unshare_network(void) { return unshare(CLONE_NEWNET) == 0 ? 0 : errno; }

const char *test_bundle_path(void) {
  Dl_info info;
  return dladdr((const void *)test_unshare_network, &info) != 0 ? info.dli_fname : "";
}
