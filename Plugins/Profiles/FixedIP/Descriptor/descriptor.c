// SPDX-License-Identifier: GPL-3.0-or-later
// What the loader reads before it calls into the plugin.

#include <routerd_plugin.h>

ROUTERD_PLUGIN("isp.fixedip", "0.1.0")
