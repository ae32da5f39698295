// SPDX-License-Identifier: GPL-3.0-or-later
// labbr: the border relay and the AFTR of the simulated line, which judge every packet that the product sends.
#include "arith.h"
#include "options.h"
#include "relay.h"

int main(int argc, char **argv) {
    // The rule table is too large for a comfortable stack frame.
    static struct options options;
    int status;
    if (!options_parse(argc, argv, &options, &status)) return status;
    if (options.mode == MODE_MAP_ARITH) return arith_run(&options.rules, stdin, stdout);
    return relay_run(&options);
}
