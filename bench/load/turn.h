/* As much of STUN and TURN as a load generator needs: long-term credentials with MD5, IPv4, one datagram at a time. */
#ifndef TURN_H
#define TURN_H
#include <netinet/in.h>
#include <stdint.h>

enum { BINDING = 0x001, ALLOCATE = 0x003, REFRESH = 0x004, CHANNEL_BIND = 0x009 };
enum { SUCCESS = 0x100, ERROR = 0x110 };

struct message {
  uint8_t data[1024];
  int length;
};

/* What one client knows: its name and key are everybody's, its nonce is its own. */
struct account {
  const char *username, *password;
};
struct session {
  char realm[128], nonce[256];
  uint8_t key[16];
};

/* The twelve bytes of a transaction ID: the first four are the caller's, to find its state by. */
void message_begin(struct message *m, int type, uint32_t tag);
void allocate_request(struct message *m, uint32_t tag);
void allocate_request_sealed(struct message *m, uint32_t tag, const struct account *a, const struct session *s);
void channel_request(struct message *m, uint32_t tag, const struct account *a, const struct session *s, int channel,
                     struct sockaddr_in peer);
/* `lifetime` in seconds: 0 ends the allocation. */
void refresh_request(struct message *m, uint32_t tag, const struct account *a, const struct session *s, uint32_t lifetime);

/* 0 unless `data` is a whole STUN message. */
int message_type(const uint8_t *data, int length);
uint32_t message_tag(const uint8_t *data);
int message_error(const uint8_t *data, int length);
/* Takes realm and nonce from a challenge and derives the key. */
void session_challenged(struct session *s, const struct account *a, const uint8_t *data, int length);
/* The port in XOR-RELAYED-ADDRESS; 0 when there is none. */
int relayed_port(const uint8_t *data, int length);

/* A whole transaction on a connected socket. Exits the process, saying why, when there is no success. */
struct relayed {
  int fd, port;
  struct session session;
};
void turn_allocate(struct relayed *r, const struct account *a);
void turn_channel_bind(struct relayed *r, const struct account *a, int channel, struct sockaddr_in peer);
void turn_release(struct relayed *r, const struct account *a);

#endif
