/* One UDP socket that speaks for a whole network of phones, each with an address of its own. */
#ifndef ANYIP_H
#define ANYIP_H
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

/* A socket on `port` of every address that is routed to this host as local. */
int anyip_open(int port);
/* Sends from `source`, an address in host byte order. False where the system does not take it. */
int anyip_send(int fd, uint32_t source, const struct sockaddr_in *to, const void *data, size_t length);

struct anyip_packet {
  /* Whom it was sent to, in host byte order. */
  uint32_t to;
  struct sockaddr_in from;
  size_t length;
  /* Ends with a zero. */
  char *data;
};

enum { ANYIP_BATCH = 64, ANYIP_ROOM = 4096 };
/* Takes what has arrived, without waiting: how many of `packets`, which stay valid until the next call. */
int anyip_receive(int fd, struct anyip_packet packets[ANYIP_BATCH]);
/* Datagrams that came while no room was left in the socket's buffer. */
uint32_t anyip_drops(int fd);
#endif
