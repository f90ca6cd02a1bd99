#include "turn.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "digest.h"

#define MAGIC_COOKIE 0x2112a442u

enum {
  USERNAME = 0x0006, MESSAGE_INTEGRITY = 0x0008, ERROR_CODE = 0x0009, CHANNEL_NUMBER = 0x000c, LIFETIME = 0x000d,
  XOR_PEER_ADDRESS = 0x0012, REALM = 0x0014, NONCE = 0x0015, XOR_RELAYED_ADDRESS = 0x0016,
  REQUESTED_TRANSPORT = 0x0019
};

static void put16(uint8_t *p, uint32_t v) { p[0] = (uint8_t)(v >> 8), p[1] = (uint8_t)v; }
static void put32(uint8_t *p, uint32_t v) { put16(p, v >> 16), put16(p + 2, v); }
static uint32_t get16(const uint8_t *p) { return (uint32_t)p[0] << 8 | p[1]; }
static uint32_t get32(const uint8_t *p) { return get16(p) << 16 | get16(p + 2); }

void message_begin(struct message *m, int type, uint32_t tag) {
  put16(m->data, (uint32_t)type);
  put32(m->data + 4, MAGIC_COOKIE);
  put32(m->data + 8, tag);
  put32(m->data + 12, (uint32_t)random());
  put32(m->data + 16, (uint32_t)random());
  m->length = 20;
  put16(m->data + 2, 0);
}

static uint8_t *append(struct message *m, int attribute, int length) {
  uint8_t *at = m->data + m->length;
  int padded = (length + 3) & ~3;
  put16(at, (uint32_t)attribute);
  put16(at + 2, (uint32_t)length);
  memset(at + 4, 0, (size_t)padded);
  m->length += 4 + padded;
  put16(m->data + 2, (uint32_t)m->length - 20);
  return at + 4;
}

static void append_text(struct message *m, int attribute, const char *text) {
  memcpy(append(m, attribute, (int)strlen(text)), text, strlen(text));
}

static void message_u32(struct message *m, int attribute, uint32_t value) { put32(append(m, attribute, 4), value); }

static void message_peer(struct message *m, struct sockaddr_in peer) {
  uint8_t *at = append(m, XOR_PEER_ADDRESS, 8);
  at[1] = 1;
  put16(at + 2, ntohs(peer.sin_port) ^ MAGIC_COOKIE >> 16);
  put32(at + 4, ntohl(peer.sin_addr.s_addr) ^ MAGIC_COOKIE);
}

static void message_seal(struct message *m, const struct account *account, const struct session *session) {
  append_text(m, USERNAME, account->username);
  append_text(m, REALM, session->realm);
  append_text(m, NONCE, session->nonce);
  int covered = m->length;
  uint8_t *tag = append(m, MESSAGE_INTEGRITY, 20);
  hmac_sha1(session->key, 16, m->data, (size_t)covered, tag);
}

void allocate_request(struct message *m, uint32_t tag) {
  message_begin(m, ALLOCATE, tag);
  message_u32(m, REQUESTED_TRANSPORT, 17u << 24);
}

void allocate_request_sealed(struct message *m, uint32_t tag, const struct account *a, const struct session *s) {
  allocate_request(m, tag);
  message_seal(m, a, s);
}

void channel_request(struct message *m, uint32_t tag, const struct account *a, const struct session *s, int channel,
                     struct sockaddr_in peer) {
  message_begin(m, CHANNEL_BIND, tag);
  message_u32(m, CHANNEL_NUMBER, (uint32_t)channel << 16);
  message_peer(m, peer);
  message_seal(m, a, s);
}

void refresh_request(struct message *m, uint32_t tag, const struct account *a, const struct session *s, uint32_t lifetime) {
  message_begin(m, REFRESH, tag);
  message_u32(m, LIFETIME, lifetime);
  message_seal(m, a, s);
}

int message_type(const uint8_t *data, int length) {
  if (length < 20 || data[0] & 0xc0 || (int)get16(data + 2) + 20 != length) return 0;
  return (int)get16(data);
}

uint32_t message_tag(const uint8_t *data) { return get32(data + 8); }

static const uint8_t *find(const uint8_t *data, int length, int attribute, int *value_length) {
  for (int at = 20; at + 4 <= length;) {
    int size = (int)get16(data + at + 2);
    if (at + 4 + size > length) return NULL;
    if ((int)get16(data + at) == attribute) {
      *value_length = size;
      return data + at + 4;
    }
    at += 4 + ((size + 3) & ~3);
  }
  return NULL;
}

int message_error(const uint8_t *data, int length) {
  int size = 0;
  const uint8_t *value = find(data, length, ERROR_CODE, &size);
  return value && size >= 4 ? value[2] * 100 + value[3] : 0;
}

static void copy_text(char *to, int room, const uint8_t *data, int length, int attribute) {
  int size = 0;
  const uint8_t *value = find(data, length, attribute, &size);
  if (value == NULL || size >= room) size = 0;
  else memcpy(to, value, (size_t)size);
  to[size] = 0;
}

void session_challenged(struct session *s, const struct account *a, const uint8_t *data, int length) {
  char text[512];
  copy_text(s->realm, sizeof s->realm, data, length, REALM);
  copy_text(s->nonce, sizeof s->nonce, data, length, NONCE);
  int size = snprintf(text, sizeof text, "%s:%s:%s", a->username, s->realm, a->password);
  md5(text, (size_t)size, s->key);
}

int relayed_port(const uint8_t *data, int length) {
  int size = 0;
  const uint8_t *value = find(data, length, XOR_RELAYED_ADDRESS, &size);
  return value && size == 8 ? (int)(get16(value + 2) ^ MAGIC_COOKIE >> 16) : 0;
}

/* Sends until an answer to this very request comes; returns its length. */
static int transact(int fd, const struct message *request, uint8_t *answer, int room) {
  for (int attempt = 0; attempt < 8; attempt++) {
    send(fd, request->data, (size_t)request->length, 0);
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    while (poll(&wait, 1, 500) > 0) {
      int length = (int)recv(fd, answer, (size_t)room, 0);
      if (message_type(answer, length) && memcmp(answer + 4, request->data + 4, 16) == 0) return length;
    }
  }
  fprintf(stderr, "no answer to a request of type 0x%03x\n", get16(request->data));
  exit(1);
}

static void succeed(int fd, const struct message *request, uint8_t *answer, int room, int *length) {
  *length = transact(fd, request, answer, room);
  if (message_type(answer, *length) == (int)(get16(request->data) | SUCCESS)) return;
  fprintf(stderr, "error %d to a request of type 0x%03x\n", message_error(answer, *length), get16(request->data));
  exit(1);
}

void turn_allocate(struct relayed *r, const struct account *a) {
  struct message request;
  uint8_t answer[1500];
  allocate_request(&request, 0);
  int length = transact(r->fd, &request, answer, sizeof answer);
  session_challenged(&r->session, a, answer, length);
  allocate_request_sealed(&request, 0, a, &r->session);
  succeed(r->fd, &request, answer, sizeof answer, &length);
  r->port = relayed_port(answer, length);
}

void turn_channel_bind(struct relayed *r, const struct account *a, int channel, struct sockaddr_in peer) {
  struct message request;
  uint8_t answer[1500];
  int length;
  channel_request(&request, 0, a, &r->session, channel, peer);
  succeed(r->fd, &request, answer, sizeof answer, &length);
}

void turn_release(struct relayed *r, const struct account *a) {
  struct message request;
  uint8_t answer[1500];
  refresh_request(&request, 0, a, &r->session, 0);
  transact(r->fd, &request, answer, sizeof answer);
}
