/* SPDX-License-Identifier: GPL-3.0-or-later
 * libnetfilter_conntrack, as Swift sees it. */
#ifndef ROUTERD_CCONNTRACK_SHIM_H
#define ROUTERD_CCONNTRACK_SHIM_H

/* libc's own, before the kernel's header of the same purpose: together they agree, the other way round they do not. */
#include <netinet/in.h>

/* The kernel's own before libnfnetlink's older copy with the same guard, which CNFTNL does not see: two modules with
 * different definitions of one enum cannot be imported into one program. */
#include <linux/netfilter/nfnetlink.h>

#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#endif
