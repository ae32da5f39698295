// SPDX-License-Identifier: GPL-3.0-or-later
// Sending inner packets to CEs, in batches. The kernel adds the outer header and cuts what is longer than the path
// takes (RFC 2473 section 7.2: the outer packet is fragmented, the inner one stays whole).
#ifndef LAB_TRANSMIT_H
#define LAB_TRANSMIT_H

#include <sys/socket.h>

#include "packet.h"
#include "stats.h"

enum { TRANSMIT_BATCH = 64 };

struct transmit {
    int socket;
    struct in6_addr source;
    struct stats *stats;
    unsigned count;
    uint8_t *buffers; // TRANSMIT_BATCH times PACKET_MAX + 1
    struct mmsghdr messages[TRANSMIT_BATCH];
    struct iovec vectors[TRANSMIT_BATCH];
    struct sockaddr_in6 targets[TRANSMIT_BATCH];
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int))];
    } control[TRANSMIT_BATCH];
};

bool transmit_init(struct transmit *transmit, int socket, struct addr6 source, struct stats *stats);
// Room for one packet of up to PACKET_MAX bytes. Sends what is waiting when the batch is full.
uint8_t *transmit_buffer(struct transmit *transmit);
// Queues what was put into the buffer.
void transmit_queue(struct transmit *transmit, size_t length, struct addr6 target);
void transmit_flush(struct transmit *transmit);

#endif
