/*
 * Both digests share Merkle and Damgård's frame: whole blocks of 64 bytes, then a last one or two with the padding and
 * the length in bits, which MD5 writes little endian and SHA-1 big endian.
 */
#include "digest.h"

#include <string.h>

typedef void block_function(uint32_t *state, const uint8_t *block);

static uint32_t rotate(uint32_t x, int n) { return x << n | x >> (32 - n); }

static uint32_t little(const uint8_t *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t big(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

static void md5_block(uint32_t *state, const uint8_t *block) {
  static const uint8_t shift[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
  /* RFC 1321 §3.4: the integer part of 2^32 |sin i|. */
  static const uint32_t table[64] = {
      0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
      0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
      0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
      0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
      0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
      0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
      0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
      0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
  for (int i = 0; i < 64; i++) {
    uint32_t f;
    int word;
    switch (i / 16) {
      case 0: f = (b & c) | (~b & d), word = i; break;
      case 1: f = (d & b) | (~d & c), word = (5 * i + 1) % 16; break;
      case 2: f = b ^ c ^ d, word = (3 * i + 5) % 16; break;
      default: f = c ^ (b | ~d), word = 7 * i % 16; break;
    }
    uint32_t next = b + rotate(a + f + table[i] + little(block + 4 * word), shift[i / 16][i % 4]);
    a = d, d = c, c = b, b = next;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d;
}

static void sha1_block(uint32_t *state, const uint8_t *block) {
  uint32_t w[80];
  for (int i = 0; i < 16; i++) w[i] = big(block + 4 * i);
  for (int i = 16; i < 80; i++) w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
  for (int i = 0; i < 80; i++) {
    uint32_t f, k;
    if (i < 20) f = (b & c) | (~b & d), k = 0x5a827999;
    else if (i < 40) f = b ^ c ^ d, k = 0x6ed9eba1;
    else if (i < 60) f = (b & c) | (b & d) | (c & d), k = 0x8f1bbcdc;
    else f = b ^ c ^ d, k = 0xca62c1d6;
    uint32_t next = rotate(a, 5) + f + e + k + w[i];
    e = d, d = c, c = rotate(b, 30), b = a, a = next;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

static void digest(block_function *block, uint32_t *state, const uint8_t *data, size_t length, int big_endian) {
  size_t whole = length / 64 * 64;
  for (size_t at = 0; at < whole; at += 64) block(state, data + at);
  uint8_t last[128] = {0};
  size_t rest = length - whole;
  memcpy(last, data + whole, rest);
  last[rest] = 0x80;
  size_t end = rest < 56 ? 64 : 128;
  uint64_t bits = (uint64_t)length * 8;
  for (int i = 0; i < 8; i++) last[big_endian ? end - 1 - i : end - 8 + i] = (uint8_t)(bits >> 8 * i);
  for (size_t at = 0; at < end; at += 64) block(state, last + at);
}

void md5(const void *data, size_t length, uint8_t out[16]) {
  uint32_t state[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
  digest(md5_block, state, data, length, 0);
  for (int i = 0; i < 16; i++) out[i] = (uint8_t)(state[i / 4] >> 8 * (i % 4));
}

void sha1(const void *data, size_t length, uint8_t out[20]) {
  uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  digest(sha1_block, state, data, length, 1);
  for (int i = 0; i < 20; i++) out[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}

void hmac_sha1(const uint8_t *key, size_t key_length, const void *data, size_t length, uint8_t out[20]) {
  uint8_t inner[64 + 2048], outer[64 + 20];
  memset(inner, 0x36, 64);
  memset(outer, 0x5c, 64);
  for (size_t i = 0; i < key_length; i++) inner[i] ^= key[i], outer[i] ^= key[i];
  memcpy(inner + 64, data, length);
  sha1(inner, 64 + length, outer + 64);
  sha1(outer, sizeof outer, out);
}
