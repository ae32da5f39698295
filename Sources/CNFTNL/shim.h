/* SPDX-License-Identifier: GPL-3.0-or-later
 * libnftnl, libmnl and the nf_tables headers of the kernel, as Swift sees them. */
#ifndef ROUTERD_CNFTNL_SHIM_H
#define ROUTERD_CNFTNL_SHIM_H

/* libc's own, before the kernel's header of the same purpose: together they agree, the other way round they do not. */
#include <netinet/in.h>

#include <libmnl/libmnl.h>
#include <libnftnl/batch.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/gen.h>
#include <libnftnl/object.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

/* A macro or an enumerator, depending on the age of the kernel's headers; Swift only sees the latter. */
enum { ROUTERD_NFT_BITWISE_BOOL = NFT_BITWISE_BOOL };

#endif
