/* SPDX-License-Identifier: GPL-3.0-or-later
 * libsystemd, as Swift sees it. */
#ifndef ROUTERD_CSYSTEMD_SHIM_H
#define ROUTERD_CSYSTEMD_SHIM_H

#include <systemd/sd-daemon.h>

#endif
