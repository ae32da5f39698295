// SPDX-License-Identifier: GPL-3.0-or-later
// See the header.

#define _GNU_SOURCE
#include "routerd_tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/icmpv6.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

// Room for what arrives while a thread waits for its turn. When a raw socket is full the kernel takes the protocol for
// unknown and answers the far end with an ICMPv6 parameter problem.
#define SOCKET_BUFFER_SIZE (8 << 20)

static int fail_closing(int descriptor) {
  int code = errno;
  close(descriptor);
  return -code;
}

static struct sockaddr_in6 socket_address(const uint8_t *address) {
  struct sockaddr_in6 result = {.sin6_family = AF_INET6};
  memcpy(&result.sin6_addr, address, sizeof result.sin6_addr);
  return result;
}

int routerd_tun_attach(const char *name) {
  struct ifreq request = {0};
  if (strlen(name) >= sizeof request.ifr_name) return -ENAMETOOLONG;
  strcpy(request.ifr_name, name);
  request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_MULTI_QUEUE | IFF_VNET_HDR;
  int descriptor = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return -errno;
  int header_size = ROUTERD_TUN_OFFLOAD_HEADER_SIZE;
  if (ioctl(descriptor, TUNSETIFF, &request) != 0 || ioctl(descriptor, TUNSETVNETHDRSZ, &header_size) != 0 ||
      // Runs of TCP segments are read in one piece, and checksums are left to us.
      ioctl(descriptor, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO_ECN) != 0)
    return fail_closing(descriptor);
  return descriptor;
}

int routerd_tun_set_persistent(int descriptor, int persistent) {
  return ioctl(descriptor, TUNSETPERSIST, persistent) == 0 ? 0 : -errno;
}

static int open_raw(int protocol, const uint8_t *local) {
  int descriptor = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
  if (descriptor < 0) return -errno;
  // The privileged form goes beyond the system's limit; where it is refused the plain one gives what it may.
  int size = SOCKET_BUFFER_SIZE;
  if (setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  struct sockaddr_in6 address = socket_address(local);
  if (bind(descriptor, (struct sockaddr *)&address, sizeof address) != 0) return fail_closing(descriptor);
  return descriptor;
}

int routerd_tun_open_softwire(const uint8_t *local) {
  int descriptor = open_raw(IPPROTO_IPIP, local);
  if (descriptor < 0) return descriptor;
  int on = 1;
  int hop_limit = 64;
  // Packets above the path MTU are fragmented by the kernel, behind the outer header (RFC 2473 section 7.2).
  int discovery = IPV6_PMTUDISC_WANT;
  if (setsockopt(descriptor, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof on) != 0 ||
      setsockopt(descriptor, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hop_limit, sizeof hop_limit) != 0 ||
      setsockopt(descriptor, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &discovery, sizeof discovery) != 0)
    return fail_closing(descriptor);
  int size = SOCKET_BUFFER_SIZE;
  if (setsockopt(descriptor, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0)
    setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  return descriptor;
}

int routerd_tun_open_errors(const uint8_t *local) {
  int descriptor = open_raw(IPPROTO_ICMPV6, local);
  if (descriptor < 0) return descriptor;
  // A set bit blocks its type.
  struct icmp6_filter filter;
  memset(&filter, 0xff, sizeof filter);
  const uint8_t types[] = {ICMPV6_DEST_UNREACH, ICMPV6_PKT_TOOBIG, ICMPV6_TIME_EXCEED, ICMPV6_PARAMPROB};
  for (unsigned i = 0; i < sizeof types; i++) filter.data[types[i] >> 5] &= ~(1u << (types[i] & 31));
  if (setsockopt(descriptor, IPPROTO_ICMPV6, ICMPV6_FILTER, &filter, sizeof filter) != 0)
    return fail_closing(descriptor);
  return descriptor;
}

union control {
  struct cmsghdr alignment;
  uint8_t bytes[CMSG_SPACE(sizeof(int))];
};

int routerd_tun_receive(int descriptor, struct routerd_tun_message *messages, uint32_t count) {
  struct mmsghdr headers[ROUTERD_TUN_BATCH];
  struct iovec vectors[ROUTERD_TUN_BATCH];
  struct sockaddr_in6 addresses[ROUTERD_TUN_BATCH];
  union control controls[ROUTERD_TUN_BATCH];
  if (count > ROUTERD_TUN_BATCH) count = ROUTERD_TUN_BATCH;
  for (uint32_t i = 0; i < count; i++) {
    vectors[i] = (struct iovec){messages[i].data, messages[i].length};
    headers[i].msg_hdr = (struct msghdr){
        .msg_name = &addresses[i],
        .msg_namelen = sizeof addresses[i],
        .msg_iov = &vectors[i],
        .msg_iovlen = 1,
        .msg_control = &controls[i],
        .msg_controllen = sizeof controls[i],
    };
  }
  int received = recvmmsg(descriptor, headers, count, MSG_DONTWAIT, NULL);
  if (received < 0) return -errno;
  for (int i = 0; i < received; i++) {
    struct msghdr *header = &headers[i].msg_hdr;
    // A packet that did not fit is of no use; without length it counts as truncated.
    messages[i].length = header->msg_flags & MSG_TRUNC ? 0 : headers[i].msg_len;
    messages[i].traffic_class = 0;
    memcpy(messages[i].address, &addresses[i].sin6_addr, sizeof messages[i].address);
    for (struct cmsghdr *item = CMSG_FIRSTHDR(header); item != NULL; item = CMSG_NXTHDR(header, item)) {
      if (item->cmsg_level != IPPROTO_IPV6 || item->cmsg_type != IPV6_TCLASS) continue;
      int value;
      memcpy(&value, CMSG_DATA(item), sizeof value);
      messages[i].traffic_class = (uint8_t)value;
    }
  }
  return received;
}

int routerd_tun_send(int descriptor, const struct routerd_tun_message *messages, uint32_t count) {
  struct mmsghdr headers[ROUTERD_TUN_BATCH];
  struct iovec vectors[ROUTERD_TUN_BATCH];
  struct sockaddr_in6 addresses[ROUTERD_TUN_BATCH];
  union control controls[ROUTERD_TUN_BATCH];
  if (count > ROUTERD_TUN_BATCH) count = ROUTERD_TUN_BATCH;
  for (uint32_t i = 0; i < count; i++) {
    vectors[i] = (struct iovec){messages[i].data, messages[i].length};
    addresses[i] = socket_address(messages[i].address);
    struct msghdr *header = &headers[i].msg_hdr;
    *header = (struct msghdr){
        .msg_name = &addresses[i],
        .msg_namelen = sizeof addresses[i],
        .msg_iov = &vectors[i],
        .msg_iovlen = 1,
    };
    if (messages[i].traffic_class == 0) continue;
    // Most packets have class 0, which needs no control message.
    memset(&controls[i], 0, sizeof controls[i]);
    header->msg_control = &controls[i];
    header->msg_controllen = sizeof controls[i];
    struct cmsghdr *item = CMSG_FIRSTHDR(header);
    item->cmsg_level = IPPROTO_IPV6;
    item->cmsg_type = IPV6_TCLASS;
    item->cmsg_len = CMSG_LEN(sizeof(int));
    int value = messages[i].traffic_class;
    memcpy(CMSG_DATA(item), &value, sizeof value);
  }
  int sent = sendmmsg(descriptor, headers, count, MSG_DONTWAIT);
  return sent < 0 ? -errno : sent;
}

int routerd_tun_route_mtu(const uint8_t *local, const uint8_t *remote) {
  // Nothing is sent by connecting a datagram socket; it only looks up the route, as the raw socket does for each packet.
  int descriptor = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -errno;
  struct sockaddr_in6 from = socket_address(local);
  struct sockaddr_in6 to = socket_address(remote);
  to.sin6_port = htons(9);
  int mtu = 0;
  socklen_t size = sizeof mtu;
  if (bind(descriptor, (struct sockaddr *)&from, sizeof from) != 0 ||
      connect(descriptor, (struct sockaddr *)&to, sizeof to) != 0 ||
      getsockopt(descriptor, IPPROTO_IPV6, IPV6_MTU, &mtu, &size) != 0)
    return fail_closing(descriptor);
  close(descriptor);
  return mtu;
}

int routerd_tun_open_event(void) {
  int descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return descriptor < 0 ? -errno : descriptor;
}

void routerd_tun_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }
