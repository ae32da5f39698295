/* SPDX-License-Identifier: GPL-3.0-or-later
 * unshare(2) and dladdr(3), which glibc shows only to programs that ask for GNU extensions. */
#ifndef ROUTERD_TEST_SUPPORT_H
#define ROUTERD_TEST_SUPPORT_H

/* Moves the calling thread into a new network namespace; 0, or an errno value. */
int test_unshare_network(void);

/* The path of the file that this code was loaded from: the bundle of the tests. */
const char *test_bundle_path(void);

#endif
