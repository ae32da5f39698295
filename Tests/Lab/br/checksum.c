// SPDX-License-Identifier: GPL-3.0-or-later
// The Internet checksum.
#include "checksum.h"

#include <arpa/inet.h>
#include <string.h>

static uint16_t fold(uint64_t sum) {
    sum = (sum >> 32) + (sum & 0xffffffff);
    sum = (sum >> 32) + (sum & 0xffffffff);
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    return (uint16_t)sum;
}

uint16_t checksum_sum(const uint8_t *data, size_t length) {
    // 32-bit loads into 64-bit sums: no carry can be lost below 2^32 words. Two sums let the loads overlap. The words
    // are added in host order, since the ones' complement sum only swaps its bytes with the byte order of its words.
    uint64_t first = 0, second = 0;
    uint32_t words[2];
    while (length >= 8) {
        memcpy(words, data, 8);
        first += words[0];
        second += words[1];
        data += 8;
        length -= 8;
    }
    if (length > 0) {
        uint8_t rest[8] = {0};
        memcpy(rest, data, length);
        memcpy(words, rest, 8);
        first += words[0];
        second += words[1];
    }
    return ntohs(fold(first + second));
}

uint16_t checksum_add(uint16_t a, uint16_t b) {
    return fold((uint64_t)a + b);
}

uint16_t checksum_pseudo(uint32_t source, uint32_t destination, uint8_t protocol, size_t length) {
    return fold((uint64_t)(source >> 16) + (source & 0xffff) + (destination >> 16) + (destination & 0xffff) + protocol +
                length);
}

uint16_t checksum_update(uint16_t checksum, uint16_t old_word, uint16_t new_word) {
    return (uint16_t)~fold((uint64_t)(uint16_t)~checksum + (uint16_t)~old_word + new_word);
}
