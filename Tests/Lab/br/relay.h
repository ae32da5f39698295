// SPDX-License-Identifier: GPL-3.0-or-later
// The border relay (or AFTR) itself: sockets, TUN device, signals and the loop between them.
#ifndef LAB_RELAY_H
#define LAB_RELAY_H

#include "options.h"

// Runs until SIGTERM or SIGINT. The exit status of the program.
int relay_run(struct options *options);

#endif
