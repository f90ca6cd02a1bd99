/*
 * Requests for a STUN and TURN server, in a closed loop: a fixed number of clients, each of which sends its next request
 * when the answer to the last has come. Three kinds of client:
 *
 *   bind      one Binding after another
 *   allocate  a challenge, an allocation, its release, and again
 *   hold      a challenge, an allocation and a channel, which stay until standard input closes
 *
 * Every client has a source address in 127/8 of its own, and takes another when it begins again: for Bindings the next
 * of a fixed number, else one that was never used. So limits per source stay on and are not met. One socket sends for them all: IP_PKTINFO sets the source of each packet. Prints one
 * line of JSON.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "measure.h"
#include "turn.h"

enum { BATCH = 64, CLIENTS = 128, CHANNEL = 0x4000, PEER_PORT = 9 };
#define MILLISECONDS 1000000ull
#define RETRY_AFTER (250 * MILLISECONDS)

enum kind { KIND_BIND, KIND_ALLOCATE, KIND_HOLD };
enum step { STEP_BIND, STEP_CHALLENGE, STEP_ALLOCATE, STEP_CHANNEL, STEP_RELEASE, STEP_DONE };

struct client {
  enum step step;
  struct in_addr source;
  uint32_t tag;
  uint64_t sent;
  struct session session;
  /* Kept, because only the very same request is a retransmission. */
  struct message request;
};

static struct {
  const char *peer;
  int pid;
  enum kind kind;
  uint32_t hold, sources;
  double warmup, seconds;
  struct account account;
  struct sockaddr_in server;
} options = {.peer = "127.0.0.2", .sources = 4096, .warmup = 0.5, .seconds = 3};

static int fd;
static struct client clients[CLIENTS];
static uint32_t started;
static uint64_t finished, lost, refused;

static struct {
  struct iovec parts[BATCH];
  struct mmsghdr headers[BATCH];
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
  } sources[BATCH];
  unsigned count;
} out;
static uint8_t answers[BATCH][1500];
static struct iovec answer_parts[BATCH];
static struct mmsghdr answer_headers[BATCH];

static void parse(int argc, char **argv) {
  static const struct option names[] = {
      {"server", 1, 0, 's'}, {"port", 1, 0, 'p'}, {"peer", 1, 0, 'e'}, {"pid", 1, 0, 'i'}, {"user", 1, 0, 'u'},
      {"password", 1, 0, 'w'}, {"kind", 1, 0, 'k'}, {"hold", 1, 0, 'n'}, {"sources", 1, 0, 'S'}, {"seconds", 1, 0, 't'},
      {"warmup", 1, 0, 'T'}, {0, 0, 0, 0}};
  const char *server = "127.0.0.1";
  int port = 3478;
  for (int o; (o = getopt_long(argc, argv, "", names, NULL)) != -1;) switch (o) {
      case 's': server = optarg; break;
      case 'p': port = atoi(optarg); break;
      case 'e': options.peer = optarg; break;
      case 'i': options.pid = atoi(optarg); break;
      case 'u': options.account.username = optarg; break;
      case 'w': options.account.password = optarg; break;
      case 'k': options.kind = *optarg == 'b' ? KIND_BIND : *optarg == 'a' ? KIND_ALLOCATE : KIND_HOLD; break;
      case 'n': options.hold = (uint32_t)atoi(optarg); break;
      case 'S': options.sources = (uint32_t)atoi(optarg); break;
      case 't': options.seconds = atof(optarg); break;
      case 'T': options.warmup = atof(optarg); break;
      default: exit(2);
    }
  options.server = ipv4_address(server, port);
}

static void open_socket(void) {
  int room = 16 << 20;
  struct sockaddr_in any = {.sin_family = AF_INET};
  fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0 || bind(fd, (void *)&any, sizeof any)) fail("bind");
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room))
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  for (int i = 0; i < BATCH; i++) {
    struct msghdr *header = &out.headers[i].msg_hdr;
    *header = (struct msghdr){.msg_name = &options.server, .msg_namelen = sizeof options.server,
                              .msg_iov = &out.parts[i], .msg_iovlen = 1,
                              .msg_control = &out.sources[i], .msg_controllen = sizeof out.sources[i]};
    struct cmsghdr *control = CMSG_FIRSTHDR(header);
    *control = (struct cmsghdr){.cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO,
                                .cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo))};
    answer_parts[i] = (struct iovec){answers[i], sizeof answers[i]};
    answer_headers[i].msg_hdr = (struct msghdr){.msg_iov = &answer_parts[i], .msg_iovlen = 1};
  }
}

static void flush(void) {
  for (unsigned at = 0; at < out.count;) {
    int sent = sendmmsg(fd, out.headers + at, out.count - at, 0);
    if (sent < 0) fail("sendmmsg");
    at += (unsigned)sent;
  }
  out.count = 0;
}

static void write_request(struct message *m, const struct client *c) {
  const struct account *a = &options.account;
  switch (c->step) {
    case STEP_BIND: message_begin(m, BINDING, c->tag); break;
    case STEP_CHALLENGE: allocate_request(m, c->tag); break;
    case STEP_ALLOCATE: allocate_request_sealed(m, c->tag, a, &c->session); break;
    case STEP_CHANNEL: channel_request(m, c->tag, a, &c->session, CHANNEL, ipv4_address(options.peer, PEER_PORT)); break;
    default: refresh_request(m, c->tag, a, &c->session, 0);
  }
}

/* Queues a client's request, which must stay as it is until `flush`. */
static void queue(struct client *c, uint64_t now) {
  unsigned k = out.count++;
  c->sent = now;
  out.parts[k] = (struct iovec){c->request.data, (size_t)c->request.length};
  struct in_pktinfo info = {.ipi_spec_dst = c->source};
  memcpy(CMSG_DATA(CMSG_FIRSTHDR(&out.headers[k].msg_hdr)), &info, sizeof info);
  if (out.count == BATCH) flush();
}

static void ask(struct client *c, enum step step, uint64_t now) {
  c->step = step;
  if (step == STEP_DONE) return;
  c->tag = (c->tag + 0x10000) | (uint32_t)(c - clients);
  write_request(&c->request, c);
  queue(c, now);
}

static void begin(struct client *c, uint64_t now) {
  if (options.kind == KIND_HOLD && started == options.hold) return ask(c, STEP_DONE, now);
  c->source.s_addr = loopback_source(options.kind == KIND_BIND ? started++ % options.sources : started++);
  ask(c, options.kind == KIND_BIND ? STEP_BIND : STEP_CHALLENGE, now);
}

static void answered(const uint8_t *data, int length, uint64_t now) {
  int type = message_type(data, length);
  uint32_t tag = type ? message_tag(data) : 0;
  struct client *c = &clients[(tag & 0xffff) % CLIENTS];
  if (!type || tag != c->tag || c->step == STEP_DONE) return;
  if (c->step == STEP_CHALLENGE) {
    session_challenged(&c->session, &options.account, data, length);
    return ask(c, STEP_ALLOCATE, now);
  }
  if (type & 0x10) {
    if (refused++ == 0) fprintf(stderr, "error %d\n", message_error(data, length));
    return begin(c, now);
  }
  if (c->step == STEP_ALLOCATE) return ask(c, options.kind == KIND_HOLD ? STEP_CHANNEL : STEP_RELEASE, now);
  finished++;
  begin(c, now);
}

static void receive(void) {
  int count = recvmmsg(fd, answer_headers, BATCH, MSG_DONTWAIT, NULL);
  uint64_t now = clock_now();
  for (int k = 0; k < count; k++) answered(answers[k], (int)answer_headers[k].msg_len, now);
}

static void retry_late(uint64_t now) {
  static uint64_t next;
  if (now < next) return;
  next = now + 10 * MILLISECONDS;
  for (struct client *c = clients; c < clients + CLIENTS; c++) {
    if (c->step == STEP_DONE || now - c->sent < RETRY_AFTER) continue;
    lost++;
    if (c->step == STEP_BIND) begin(c, now);
    else queue(c, now);
  }
}

static void work(void) {
  receive();
  retry_late(clock_now());
  flush();
}

static void hold(void) {
  while (finished < options.hold && refused == 0) work();
  printf("{\"held\":%llu,\"refused\":%llu}\n", (unsigned long long)finished, (unsigned long long)refused);
  fflush(stdout);
  struct pollfd closed = {.fd = STDIN_FILENO, .events = POLLIN};
  poll(&closed, 1, -1);
}

static void rate(void) {
  for (uint64_t end = clock_now() + (uint64_t)(options.warmup * 1e9); clock_now() < end;) work();
  finished = lost = 0;
  uint64_t start = clock_now(), used = cpu_used(options.pid);
  for (uint64_t end = start + (uint64_t)(options.seconds * 1e9); clock_now() < end;) work();
  used = cpu_used(options.pid) - used;
  double elapsed = (double)(clock_now() - start) / 1e9, done = (double)finished;
  printf("{\"perSecond\":%.0f,\"cpuMicroseconds\":%.3f,\"utilization\":%.3f,\"lost\":%llu,\"refused\":%llu}\n",
         done / elapsed, done > 0 ? (double)used / 1e3 / done : 0, (double)used / 1e9 / elapsed,
         (unsigned long long)lost, (unsigned long long)refused);
}

int main(int argc, char **argv) {
  parse(argc, argv);
  open_socket();
  uint64_t now = clock_now();
  for (struct client *c = clients; c < clients + CLIENTS; c++) begin(c, now);
  flush();
  if (options.kind == KIND_HOLD) hold();
  else rate();
  return 0;
}
