// SPDX-License-Identifier: GPL-3.0-or-later
// The Internet checksum (RFC 1071), as sums that can be chained and are folded at the end.
#ifndef LAB_CHECKSUM_H
#define LAB_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

// Ones' complement sum of the bytes, folded to 16 bits, in network order. An odd last byte counts as the high half
// of a word padded with zero; so only the last piece of a chained sum may have odd length.
uint16_t checksum_sum(const uint8_t *data, size_t length);
// Sum of the IPv4 pseudo header.
uint16_t checksum_pseudo(uint32_t source, uint32_t destination, uint8_t protocol, size_t length);
// Ones' complement addition of two folded sums.
uint16_t checksum_add(uint16_t a, uint16_t b);
// RFC 1624: the checksum field after one 16-bit word of the covered data changed.
uint16_t checksum_update(uint16_t checksum, uint16_t old_word, uint16_t new_word);

#endif
