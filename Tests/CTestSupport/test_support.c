// SPDX-License-Identifier: GPL-3.0-or-later
// See the header.

#define _GNU_SOURCE
#include "test_support.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

int test_enter_new_network(void) {
  int descriptor = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  if (descriptor >= 0 && unshare(CLONE_NEWNET) != 0) {
    close(descriptor);
    return -1;
  }
  return descriptor;
}

int test_return_to_network(int descriptor) {
  int status = setns(descriptor, CLONE_NEWNET);
  close(descriptor);
  return status;
}

const char *test_bundle_path(void) {
  Dl_info info;
  return dladdr((const void *)test_bundle_path, &info) != 0 ? info.dli_fname : "";
}
