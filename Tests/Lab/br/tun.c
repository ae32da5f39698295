// SPDX-License-Identifier: GPL-3.0-or-later
// The TUN device. No packet-information header and no virtio header: the kernel then hands over single packets with
// finished checksums, which is what a wire would carry.
#include "tun.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

// Room for bursts of a 64 KiB super-packet cut into single packets; the default of 500 drops under load.
enum { QUEUE_LENGTH = 4000 };

static int configure(const char *name, unsigned mtu) {
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (control < 0) return -1;
    struct ifreq request = {0};
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    request.ifr_mtu = (int)mtu;
    int result = ioctl(control, SIOCSIFMTU, &request);
    if (result == 0) {
        request.ifr_qlen = QUEUE_LENGTH;
        result = ioctl(control, SIOCSIFTXQLEN, &request);
    }
    if (result == 0) result = ioctl(control, SIOCGIFFLAGS, &request);
    if (result == 0) {
        request.ifr_flags |= IFF_UP;
        result = ioctl(control, SIOCSIFFLAGS, &request);
    }
    close(control);
    return result;
}

int tun_open(const char *name, unsigned mtu) {
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        perror("labbr: /dev/net/tun");
        return -1;
    }
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (ioctl(fd, TUNSETIFF, &request) < 0 || configure(name, mtu) < 0) {
        fprintf(stderr, "labbr: TUN device %s: ", name);
        perror(NULL);
        close(fd);
        return -1;
    }
    return fd;
}
