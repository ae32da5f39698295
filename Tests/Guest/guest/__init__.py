# SPDX-License-Identifier: GPL-3.0-or-later
"""The Debian guest: a real kernel and a real systemd for what the host's kernel lacks, in an emulator.

    sources    where Debian's packages come from: the host's own apt configuration
    image      root file system, kernel and initramfs; built once and kept
    payload    what one boot brings along: routerd, its runtime, the lab, the script to run
    machine    one boot, from the payload to the results
    boots      which boots the tests make
"""
