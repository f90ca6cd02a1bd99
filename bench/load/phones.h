/* Phones, each with a name, an address and a password of its own: what they say to a SIP server. */
#ifndef PHONES_H
#define PHONES_H
#include <netinet/in.h>
#include <stdint.h>

#include "anyip.h"

enum { SIP_PORT = 5060, MEDIA_PORT = 40000 };

enum stage { IDLE, ASKING, ANSWERING, ENDING };

struct phone {
  char name[12], ip[16], key[33];
  uint32_t address;
  /* Of what it is doing now; it does one thing at a time. */
  enum stage stage;
  uint32_t attempt, cseq;
  uint64_t begun;
  int measured;
  /* Where its media goes; port 0: nowhere. */
  struct sockaddr_in media;
};

struct network {
  struct sockaddr_in server;
  const char *domain;
  int fd, count, describes_media;
  /* Apart from every other run. */
  uint32_t run;
  struct phone *phones;
};

void phones_create(struct network *network, const char *password, uint32_t first_address);
/* Whose address that is; NULL when it is nobody's. */
struct phone *phone_at(const struct network *network, uint32_t address);

/* `challenge`: what is answered; NULL: nothing was asked yet. Each is false where there is nothing that we can answer. */
int say_register(struct network *network, struct phone *phone, const char *challenge);
int say_invite(struct network *network, struct phone *caller, const struct phone *callee, const char *challenge);
/* For a final response to an INVITE. */
void say_ack(struct network *network, struct phone *caller, const struct phone *callee, const char *response);
void say_bye(struct network *network, struct phone *caller, const char *response);
/* Answers whatever is asked of a phone, as one that always accepts a call at once. */
void answer_request(struct network *network, struct phone *phone, const struct anyip_packet *packet);
/* Notes where the media of a description goes. */
void note_media(struct phone *phone, const char *message);
#endif
