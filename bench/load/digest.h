/* MD5, SHA-1 and HMAC-SHA1 for long-term credentials, so that the generator needs nothing but libc. */
#ifndef DIGEST_H
#define DIGEST_H
#include <stddef.h>
#include <stdint.h>

void md5(const void *data, size_t length, uint8_t out[16]);
void sha1(const void *data, size_t length, uint8_t out[20]);
/* `key_length` is at most 64. */
void hmac_sha1(const uint8_t *key, size_t key_length, const void *data, size_t length, uint8_t out[20]);

#endif
