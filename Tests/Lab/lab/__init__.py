# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated line: everything the lab's suites, demo and bench are built from.

    netns      network namespaces, the processes and the sockets inside them
    isps       what each simulated ISP does: rule, border relays, one subscriber
    line       the topology  lan - ce - isp - inet
    judge      the border relay (or AFTR) that verifies every packet
    daemon     routerd under test: its configuration, life and command line
    unit       routerd installed as the system service that it is on a router
    servers    what answers in the inet namespace
    clients    what a LAN host does: ping, TCP, UDP, traceroute, path MTU
    outside    crafted IPv4-in-IPv6 packets as an attacker would send them
    snapshot   the whole network state of a namespace as one comparable value
"""
