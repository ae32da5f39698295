// SPDX-License-Identifier: GPL-3.0-or-later
// The TUN device towards the Internet side of the border relay.
#ifndef LAB_TUN_H
#define LAB_TUN_H

// Creates the device, sets its MTU and brings it up. Returns a non-blocking descriptor, or -1 with a message on stderr.
int tun_open(const char *name, unsigned mtu);

#endif
