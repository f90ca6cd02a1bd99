/*
 * Too much for a STUN and TURN server, and those who must not suffer from it. Two kinds of client:
 *
 *   bind, challenge, allocate   requests at a fixed rate, whatever comes back: Bindings; Allocates without credentials;
 *                               or whole lives: a challenge, an allocation, its release. Nothing is sent again.
 *   keep                        sessions that are each refreshed once a period, evenly spread, and sent again as
 *                               RFC 8489 section 6.2.1 says: seven times, the first after half a second
 *
 * Every client has a source address in 127/8 of its own. `keep` says {"held":N} when all sessions stand, and then how
 * the refreshes of `seconds` fared; the others say how many of each answer came. One line of JSON each.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "anyip.h"
#include "measure.h"
#include "turn.h"

enum { MOST_CLIENTS = 1 << 16, MOST_SENDS = 7, MOST_REFRESHES = 1 << 20 };
#define MILLISECONDS 1000000ull
#define FIRST_WAIT (500 * MILLISECONDS)

enum kind { KIND_BIND = 'b', KIND_CHALLENGE = 'c', KIND_ALLOCATE = 'a', KIND_KEEP = 'k' };
enum step { STEP_IDLE, STEP_BIND, STEP_CHALLENGE, STEP_ALLOCATE, STEP_REFRESH, STEP_RELEASE };

struct client {
  enum step step;
  uint32_t source, tag, sends;
  uint64_t asked, again, next;
  struct session session;
  struct message request;
};

static struct {
  enum kind kind;
  uint32_t clients;
  double rate, seconds, period;
  struct account account;
  struct sockaddr_in server;
} options = {.clients = 1000, .rate = 1000, .seconds = 3, .period = 10};

static int fd;
static struct client *clients;
static struct {
  uint64_t begun, answered, granted, shed, refused, silent;
  uint64_t refreshed, at_once, failed;
  uint32_t held;
} count;
static uint32_t *waits;

static void parse(int argc, char **argv) {
  static const struct option names[] = {
      {"server", 1, 0, 's'}, {"port", 1, 0, 'p'}, {"peer", 1, 0, 'e'}, {"pid", 1, 0, 'i'}, {"user", 1, 0, 'u'},
      {"password", 1, 0, 'w'}, {"kind", 1, 0, 'k'}, {"clients", 1, 0, 'n'}, {"rate", 1, 0, 'r'},
      {"seconds", 1, 0, 't'}, {"period", 1, 0, 'P'}, {0, 0, 0, 0}};
  const char *server = "127.0.0.1";
  int port = 3478;
  for (int o; (o = getopt_long(argc, argv, "", names, NULL)) != -1;) switch (o) {
      case 's': server = optarg; break;
      case 'p': port = atoi(optarg); break;
      case 'u': options.account.username = optarg; break;
      case 'w': options.account.password = optarg; break;
      case 'k': options.kind = (enum kind)*optarg; break;
      case 'n': options.clients = (uint32_t)atoi(optarg); break;
      case 'r': options.rate = atof(optarg); break;
      case 't': options.seconds = atof(optarg); break;
      case 'P': options.period = atof(optarg); break;
      case 'e': case 'i': break;
      default: exit(2);
    }
  if (options.kind != KIND_KEEP) options.clients = MOST_CLIENTS / 4;
  if (options.clients == 0 || options.clients > MOST_CLIENTS) exit(2);
  options.server = ipv4_address(server, port);
}

static void send_request(struct client *c) {
  c->sends++;
  anyip_send(fd, c->source, &options.server, c->request.data, (size_t)c->request.length);
}

static void ask(struct client *c, enum step step, uint64_t now) {
  const struct account *a = &options.account;
  c->step = step;
  c->tag = (c->tag + 0x10000) | (uint32_t)(c - clients);
  switch (step) {
    case STEP_BIND: message_begin(&c->request, BINDING, c->tag); break;
    case STEP_CHALLENGE: allocate_request(&c->request, c->tag); break;
    case STEP_ALLOCATE: allocate_request_sealed(&c->request, c->tag, a, &c->session); break;
    default: refresh_request(&c->request, c->tag, a, &c->session, step == STEP_RELEASE ? 0 : 600);
  }
  c->sends = 0;
  c->asked = now;
  c->again = now + FIRST_WAIT;
  send_request(c);
}

static void finish_refresh(struct client *c, int well, uint64_t now) {
  c->step = STEP_IDLE;
  if (!well) count.failed++;
  else if (count.refreshed < MOST_REFRESHES) {
    waits[count.refreshed++] = (uint32_t)((now - c->asked) / 1000);
    if (c->sends == 1) count.at_once++;
  }
}

static void answered(struct client *c, const uint8_t *data, int length, int type, uint64_t now) {
  int error = type & 0x10 ? message_error(data, length) : 0;
  count.answered++;
  if (c->step == STEP_REFRESH) return finish_refresh(c, error == 0, now);
  if (c->step == STEP_CHALLENGE && error == 401 && options.kind != KIND_CHALLENGE) {
    session_challenged(&c->session, &options.account, data, length);
    return ask(c, STEP_ALLOCATE, now);
  }
  if (c->step == STEP_ALLOCATE && error == 0) {
    count.granted++;
    if (options.kind == KIND_ALLOCATE) return ask(c, STEP_RELEASE, now);
    count.held++;
  } else if (error == 486 || error == 508) count.shed++;
  else if (error != 0 && error != 401) count.refused++;
  c->step = STEP_IDLE;
}

static void receive(void) {
  static struct anyip_packet packets[ANYIP_BATCH];
  int got = anyip_receive(fd, packets);
  uint64_t now = clock_now();
  for (int i = 0; i < got; i++) {
    const uint8_t *data = (const uint8_t *)packets[i].data;
    int length = (int)packets[i].length, type = message_type(data, length);
    uint32_t tag = type ? message_tag(data) : 0;
    struct client *c = &clients[(tag & 0xffff) % options.clients];
    if (type && tag == c->tag && c->step != STEP_IDLE) answered(c, data, length, type, now);
  }
}

/* RFC 8489 section 6.2.1: each wait is twice the one before; after the last, sixteen times the first. */
static void repeat(struct client *c, uint64_t now) {
  if (c->step == STEP_IDLE || now < c->again) return;
  if (c->sends == MOST_SENDS) {
    if (c->step == STEP_REFRESH) return finish_refresh(c, 0, now);
    fail("a session cannot be made");
  }
  send_request(c);
  c->again = now + (c->sends == MOST_SENDS ? 16 * FIRST_WAIT : FIRST_WAIT << (c->sends - 1));
}

static void flood(void) {
  static const enum step first[] = {[KIND_BIND] = STEP_BIND, [KIND_CHALLENGE] = STEP_CHALLENGE, [KIND_ALLOCATE] = STEP_CHALLENGE};
  uint64_t start = clock_now(), now = start, end = start + (uint64_t)(options.seconds * 1e9);
  while ((now = clock_now()) < end) {
    uint64_t due = (uint64_t)((double)(now - start) / 1e9 * options.rate);
    for (int burst = 0; count.begun < due && burst < 64; burst++) {
      struct client *c = &clients[count.begun++ % options.clients];
      if (c->step != STEP_IDLE) count.silent++;
      c->source = ntohl(loopback_source((uint32_t)count.begun));
      ask(c, first[options.kind], now);
    }
    receive();
  }
  /* What has not come by then does not come. */
  for (uint64_t last = clock_now() + 300 * MILLISECONDS; clock_now() < last;) receive();
  for (struct client *c = clients; c < clients + options.clients; c++) if (c->step != STEP_IDLE) count.silent++;
  printf("{\"perSecond\":%.0f,\"answered\":%llu,\"granted\":%llu,\"shed\":%llu,\"refused\":%llu,\"silent\":%llu}\n",
         (double)count.begun / options.seconds, (unsigned long long)count.answered, (unsigned long long)count.granted,
         (unsigned long long)count.shed, (unsigned long long)count.refused, (unsigned long long)count.silent);
}

static int are_idle(void) {
  for (struct client *c = clients; c < clients + options.clients; c++) if (c->step != STEP_IDLE) return 0;
  return 1;
}

static void pause_briefly(void) {
  struct timespec shortly = {.tv_nsec = MILLISECONDS / 2};
  nanosleep(&shortly, NULL);
}

static void hold_all(void) {
  uint32_t begun = 0;
  while (count.held < options.clients) {
    uint64_t now = clock_now();
    for (int burst = 0; begun < options.clients && begun < count.held + 100 && burst < 16; burst++) {
      struct client *c = &clients[begun++];
      c->source = ntohl(loopback_source(begun));
      ask(c, STEP_CHALLENGE, now);
    }
    receive();
    for (uint32_t i = 0; i < begun; i++) repeat(&clients[i], now);
    if (count.shed + count.refused > 0) fail("a session was refused");
  }
  printf("{\"held\":%u}\n", count.held);
  fflush(stdout);
}

static void keep(void) {
  waits = calloc(MOST_REFRESHES, sizeof *waits);
  hold_all();
  uint64_t period = (uint64_t)(options.period * 1e9), now = clock_now(), end = now + (uint64_t)(options.seconds * 1e9);
  for (uint32_t i = 0; i < options.clients; i++) clients[i].next = now + period * i / options.clients;
  while ((now = clock_now()) < end || !are_idle()) {
    receive();
    for (struct client *c = clients; c < clients + options.clients; c++) {
      repeat(c, now);
      if (c->step != STEP_IDLE || now < c->next || now >= end) continue;
      c->next += period;
      count.begun++;
      ask(c, STEP_REFRESH, now);
    }
    pause_briefly();
  }
  size_t n = count.refreshed;
  printf("{\"refreshes\":%llu,\"succeeded\":%llu,\"atOnce\":%llu,\"failed\":%llu,\"p50Microseconds\":%u,\"p99Microseconds\":%u,\"worstMicroseconds\":%u}\n",
         (unsigned long long)count.begun, (unsigned long long)count.refreshed, (unsigned long long)count.at_once,
         (unsigned long long)count.failed, quantile(waits, n, 0.5), quantile(waits, n, 0.99), quantile(waits, n, 1));
}

int main(int argc, char **argv) {
  parse(argc, argv);
  clients = calloc(options.clients, sizeof *clients);
  fd = anyip_open(0);
  if (options.kind == KIND_KEEP) keep();
  else flood();
  return 0;
}
