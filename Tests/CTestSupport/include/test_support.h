/* SPDX-License-Identifier: GPL-3.0-or-later
 * unshare(2), setns(2) and dladdr(3), which glibc shows only to programs that ask for GNU extensions. */
#ifndef ROUTERD_TEST_SUPPORT_H
#define ROUTERD_TEST_SUPPORT_H

/* Moves the calling thread into a new network namespace. Returns a descriptor of the one it comes from, or -1 and sets
 * errno. */
int test_enter_new_network(void);

/* Moves the calling thread back into the namespace that test_enter_new_network came from, and closes the descriptor.
 * 0, or -1 and errno. */
int test_return_to_network(int descriptor);

/* The path of the file that this code was loaded from: the bundle of the tests. */
const char *test_bundle_path(void);

#endif
