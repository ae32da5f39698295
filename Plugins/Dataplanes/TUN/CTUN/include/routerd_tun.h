/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the TUN dataplane needs of the kernel and Swift cannot reach: ioctls behind macros, control messages, and the
 * calls that move many packets at once, which glibc shows only to programs that ask for GNU extensions. No decision is
 * taken here. Every function returns 0, a count or a descriptor, and a negative errno value if it failed. */
#ifndef ROUTERD_TUN_H
#define ROUTERD_TUN_H

#include <stdint.h>

/* How many packets one call moves at the most. */
#define ROUTERD_TUN_BATCH 64

/* The header that stands before every packet of the device (struct virtio_net_hdr). */
#define ROUTERD_TUN_OFFLOAD_HEADER_SIZE 10

/* One packet of a batch. */
struct routerd_tun_message {
  /* Where the packet is, or goes. */
  void *data;
  /* Sending: its length. Receiving: the room before, the length after the call. */
  uint32_t length;
  /* The IPv6 traffic class of the outer header. */
  uint8_t traffic_class;
  /* The IPv6 address of the far end, in network order. */
  uint8_t address[16];
};

/* Attaches a queue to the device `name`, which is made if it does not exist; returns its descriptor. */
int routerd_tun_attach(const char *name);

/* Says whether the device outlives its last descriptor. */
int routerd_tun_set_persistent(int descriptor, int persistent);

/* Opens a raw socket for IPv4-in-IPv6 packets that is bound to `local` (16 bytes). */
int routerd_tun_open_softwire(const uint8_t *local);

/* Opens a raw socket that receives the ICMPv6 errors sent to `local` (16 bytes). */
int routerd_tun_open_errors(const uint8_t *local);

/* Receives up to `count` packets without waiting; returns how many. */
int routerd_tun_receive(int descriptor, struct routerd_tun_message *messages, uint32_t count);

/* Sends up to `count` packets without waiting; returns how many. An error is that of the first packet. */
int routerd_tun_send(int descriptor, const struct routerd_tun_message *messages, uint32_t count);

/* The size of packets, outer header and all, that the kernel sends from `local` to `remote` unfragmented now. */
int routerd_tun_route_mtu(const uint8_t *local, const uint8_t *remote);

/* Opens an event counter that does not block. */
int routerd_tun_open_event(void);

/* Names the calling thread for ps(1) and top(1). */
void routerd_tun_name_thread(const char *name);

#endif
