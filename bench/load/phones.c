#include "phones.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "sip.h"

enum { ROOM = 4096, ROUTES = 8 };

void phones_create(struct network *network, const char *password, uint32_t first_address) {
  network->phones = calloc((size_t)network->count, sizeof *network->phones);
  for (int i = 0; i < network->count; i++) {
    struct phone *phone = &network->phones[i];
    struct in_addr address = {htonl(first_address + (uint32_t)i)};
    phone->address = first_address + (uint32_t)i;
    sprintf(phone->name, "u%d", i);
    inet_ntop(AF_INET, &address, phone->ip, sizeof phone->ip);
    digest_key(phone->name, network->domain, password, phone->key);
  }
}

struct phone *phone_at(const struct network *network, uint32_t address) {
  uint32_t i = address - network->phones[0].address;
  return i < (uint32_t)network->count ? &network->phones[i] : NULL;
}

static void say(struct network *network, const struct phone *phone, const char *message, const char *end) {
  anyip_send(network->fd, phone->address, &network->server, message, (size_t)(end - message));
}

/* `suffix`, of the branch: an ACK to a refusal has its INVITE's, any other request one of its own. */
static char *write_head(char *to, struct network *network, struct phone *phone, const char *method, const char *uri,
                        const char *suffix) {
  return to + sprintf(to,
                      "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s:5060;branch=z9hG4bK%x.%s.%u.%u%s;rport\r\n"
                      "Max-Forwards: 70\r\nCall-ID: %x.%s.%u@bench\r\nCSeq: %u %s\r\nUser-Agent: bench\r\n",
                      method, uri, phone->ip, network->run, phone->name, phone->attempt, phone->cseq,
                      suffix, network->run, phone->name, phone->attempt, phone->cseq, method);
}

static char *write_body(char *to, const struct network *network, const struct phone *phone) {
  char body[256];
  if (!network->describes_media) return to + sprintf(to, "Content-Length: 0\r\n\r\n");
  int length = sprintf(body,
                       "v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %d RTP/AVP 0\r\n"
                       "a=rtpmap:0 PCMU/8000\r\na=ptime:20\r\n",
                       phone->ip, phone->ip, MEDIA_PORT);
  return to + sprintf(to, "Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", length, body);
}

int say_register(struct network *network, struct phone *phone, const char *challenge) {
  char message[ROOM], uri[128], *to = message;
  sprintf(uri, "sip:%s", network->domain);
  phone->cseq++;
  to = write_head(to, network, phone, "REGISTER", uri, "");
  to += sprintf(to, "From: <sip:%s@%s>;tag=%x\r\nTo: <sip:%s@%s>\r\nContact: <sip:%s@%s:5060>\r\nExpires: 600\r\n",
                phone->name, network->domain, network->run, phone->name, network->domain, phone->name, phone->ip);
  if (challenge != NULL) {
    to = write_credentials(to, challenge, "REGISTER", uri, phone->name, network->domain, phone->key);
    if (to == NULL) return 0;
  }
  to += sprintf(to, "Content-Length: 0\r\n\r\n");
  say(network, phone, message, to);
  return 1;
}

int say_invite(struct network *network, struct phone *caller, const struct phone *callee, const char *challenge) {
  char message[ROOM], uri[128], *to = message;
  sprintf(uri, "sip:%s@%s", callee->name, network->domain);
  caller->cseq++;
  to = write_head(to, network, caller, "INVITE", uri, "");
  to += sprintf(to, "From: <sip:%s@%s>;tag=%x.%u\r\nTo: <%s>\r\nContact: <sip:%s@%s:5060>\r\n", caller->name,
                network->domain, network->run, caller->attempt, uri, caller->name, caller->ip);
  if (challenge != NULL) {
    to = write_credentials(to, challenge, "INVITE", uri, caller->name, network->domain, caller->key);
    if (to == NULL) return 0;
  }
  say(network, caller, message, write_body(to, network, caller));
  return 1;
}

/* RFC 3261 §12.1.2: the caller's route set is the Record-Route of the answer, from its end. */
static char *write_routes(char *to, const char *response) {
  struct text routes[ROUTES];
  int count = 0;
  for (struct text one = sip_field(response, "Record-Route:"); one.length > 0 && count < ROUTES; count++) {
    routes[count] = one;
    one = sip_next_field(one.at, "Record-Route:");
  }
  while (count-- > 0) to += sprintf(to, "Route: %.*s\r\n", (int)routes[count].length, routes[count].at);
  return to;
}

static char *write_dialog(char *to, const char *response) {
  return copy_fields(copy_fields(to, response, "From:"), response, "To:");
}

static void remote_target(const char *response, char uri[512]) {
  struct text target = text_between(sip_field(response, "Contact:"), "<", ">");
  snprintf(uri, 512, "%.*s", (int)target.length, target.at);
}

void say_ack(struct network *network, struct phone *caller, const struct phone *callee, const char *response) {
  char message[ROOM], uri[512], *to = message;
  int is_refused = sip_status(response) >= 300;
  if (is_refused) sprintf(uri, "sip:%s@%s", callee->name, network->domain);
  else remote_target(response, uri);
  to = write_head(to, network, caller, "ACK", uri, is_refused ? "" : "a");
  if (!is_refused) to = write_routes(to, response);
  to = write_dialog(to, response);
  to += sprintf(to, "Content-Length: 0\r\n\r\n");
  say(network, caller, message, to);
}

void say_bye(struct network *network, struct phone *caller, const char *response) {
  char message[ROOM], uri[512], *to = message;
  remote_target(response, uri);
  caller->cseq++;
  to = write_head(to, network, caller, "BYE", uri, "");
  to = write_dialog(write_routes(to, response), response);
  to += sprintf(to, "Content-Length: 0\r\n\r\n");
  say(network, caller, message, to);
}

static void answer(struct network *network, struct phone *phone, const struct anyip_packet *packet, const char *line,
                   int establishes, int describes) {
  char message[ROOM], *to = message;
  const char *request = packet->data;
  struct text called = sip_field(request, "To:");
  int has_tag = text_between(called, ";tag=", ";").length > 0;
  to += sprintf(to, "SIP/2.0 %s\r\n", line);
  to = copy_fields(copy_fields(to, request, "Via:"), request, "Record-Route:");
  to = copy_fields(to, request, "From:");
  to += sprintf(to, "To: %.*s%s%s\r\n", (int)called.length, called.at, has_tag ? "" : ";tag=", has_tag ? "" : phone->name);
  to = copy_fields(copy_fields(to, request, "Call-ID:"), request, "CSeq:");
  if (establishes) to += sprintf(to, "Contact: <sip:%s@%s:5060>\r\n", phone->name, phone->ip);
  if (describes) to = write_body(to, network, phone);
  else to += sprintf(to, "Content-Length: 0\r\n\r\n");
  say(network, phone, message, to);
}

void answer_request(struct network *network, struct phone *phone, const struct anyip_packet *packet) {
  if (strncmp(packet->data, "ACK ", 4) == 0) return;
  if (strncmp(packet->data, "INVITE ", 7) != 0) return answer(network, phone, packet, "200 OK", 0, 0);
  note_media(phone, packet->data);
  answer(network, phone, packet, "180 Ringing", 1, 0);
  answer(network, phone, packet, "200 OK", 1, 1);
}

void note_media(struct phone *phone, const char *message) {
  const char *address = strstr(message, "c=IN IP4 "), *stream = strstr(message, "m=audio ");
  if (address == NULL || stream == NULL) return;
  char ip[16] = {0};
  sscanf(address + 9, "%15[0-9.]", ip);
  phone->media = ipv4_address(ip, atoi(stream + 8));
}
