// SPDX-License-Identifier: GPL-3.0-or-later
// Says which compiler built this SDK, for the version gate.

#include "routerd_plugin.h"

const char *routerd_sdk_compiler(void) { return __VERSION__; }
