// SPDX-License-Identifier: GPL-3.0-or-later
// Sending inner packets to CEs.
#include "transmit.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

bool transmit_init(struct transmit *transmit, int socket, struct addr6 source, struct stats *stats) {
    memset(transmit, 0, sizeof *transmit);
    transmit->socket = socket;
    transmit->source = addr6_to_in6(source);
    transmit->stats = stats;
    transmit->buffers = malloc((size_t)TRANSMIT_BATCH * (PACKET_MAX + 1));
    if (transmit->buffers == NULL) return false;
    for (unsigned i = 0; i < TRANSMIT_BATCH; i++) {
        struct msghdr *header = &transmit->messages[i].msg_hdr;
        transmit->targets[i].sin6_family = AF_INET6;
        transmit->vectors[i].iov_base = transmit->buffers + (size_t)i * (PACKET_MAX + 1);
        header->msg_name = &transmit->targets[i];
        header->msg_namelen = sizeof transmit->targets[i];
        header->msg_iov = &transmit->vectors[i];
        header->msg_iovlen = 1;
        header->msg_control = transmit->control[i].bytes;
        header->msg_controllen = sizeof transmit->control[i].bytes;
        // The source address is the same for every packet; the traffic class is filled in for each.
        struct cmsghdr *message = CMSG_FIRSTHDR(header);
        message->cmsg_level = IPPROTO_IPV6;
        message->cmsg_type = IPV6_PKTINFO;
        message->cmsg_len = CMSG_LEN(sizeof(struct in6_pktinfo));
        struct in6_pktinfo info = {.ipi6_addr = transmit->source};
        memcpy(CMSG_DATA(message), &info, sizeof info);
        message = CMSG_NXTHDR(header, message);
        message->cmsg_level = IPPROTO_IPV6;
        message->cmsg_type = IPV6_TCLASS;
        message->cmsg_len = CMSG_LEN(sizeof(int));
    }
    return true;
}

uint8_t *transmit_buffer(struct transmit *transmit) {
    if (transmit->count == TRANSMIT_BATCH) transmit_flush(transmit);
    return transmit->vectors[transmit->count].iov_base;
}

void transmit_queue(struct transmit *transmit, size_t length, struct addr6 target) {
    unsigned i = transmit->count++;
    struct msghdr *header = &transmit->messages[i].msg_hdr;
    struct cmsghdr *class = CMSG_NXTHDR(header, CMSG_FIRSTHDR(header));
    // RFC 6040 in normal mode: the outer field is a copy of the inner one.
    int tos = ((const uint8_t *)transmit->vectors[i].iov_base)[1];
    memcpy(CMSG_DATA(class), &tos, sizeof tos);
    transmit->vectors[i].iov_len = length;
    transmit->targets[i].sin6_addr = addr6_to_in6(target);
}

// Waits for the send buffer to drain, but not for ever: a dead link must not stop the way up.
static bool wait_for_room(int socket) {
    struct pollfd wait = {.fd = socket, .events = POLLOUT};
    return poll(&wait, 1, 50) > 0;
}

void transmit_flush(struct transmit *transmit) {
    unsigned done = 0;
    while (done < transmit->count) {
        int sent = sendmmsg(transmit->socket, transmit->messages + done, transmit->count - done, 0);
        if (sent > 0) {
            info_add(transmit->stats, INFO_DOWNLINK_SENT, (unsigned)sent);
            done += (unsigned)sent;
        } else if (errno == EAGAIN && wait_for_room(transmit->socket)) {
            continue;
        } else if (errno != EINTR) {
            // No route, no neighbour, queue full, packet refused: this one is lost, the next may be for somebody else.
            info_add(transmit->stats, INFO_SEND_ERRORS, 1);
            done++;
        }
    }
    transmit->count = 0;
}
