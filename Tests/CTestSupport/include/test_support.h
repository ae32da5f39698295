/* SPDX-License-Identifier: GPL-3.0-or-later
 * unshare(2), which glibc shows only to programs that ask for GNU extensions. */
#ifndef ROUTERD_TEST_SUPPORT_H
#define ROUTERD_TEST_SUPPORT_H

/* Moves the calling thread into a new network namespace; 0, or an errno value. */
int test_unshare_network(void);

#endif
