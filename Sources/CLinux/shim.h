/* SPDX-License-Identifier: GPL-3.0-or-later
 * What the kernel's headers have and glibc's do not, as Swift sees it. */
#ifndef ROUTERD_CLINUX_SHIM_H
#define ROUTERD_CLINUX_SHIM_H

#include <linux/filter.h>

#endif
