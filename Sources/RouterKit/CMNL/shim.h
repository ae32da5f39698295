/* SPDX-License-Identifier: GPL-3.0-or-later
 * libmnl and the rtnetlink headers of the kernel, as Swift sees them. */
#ifndef ROUTERD_CMNL_SHIM_H
#define ROUTERD_CMNL_SHIM_H

/* First, so that the kernel's headers leave out what is glibc's. */
#include <netinet/in.h>

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/if_tunnel.h>
#include <linux/ip.h>
#include <linux/ip6_tunnel.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#endif
