/*
 * Load for a TURN server: relays packets through real allocations with real channels, and measures.
 *
 * Every allocation has a client socket with a source address of its own; one peer socket stands for all peers. Packets
 * go one way, round robin over the allocations, either as fast as they come out again (a window of packets under way)
 * or at a fixed rate, evenly spaced; one at a time, or so many in a burst for the same allocation. Each carries when it was sent and whether that was before the warm-up ended; only
 * those sent after it count. The server's CPU time is read from the scheduler at both ends of the measured interval.
 * Prints one line of JSON.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "measure.h"
#include "turn.h"

enum { BATCH = 64, ROOM = 2048, FIRST_CHANNEL = 0x4000, CHANNEL_HEADER = 4 };
enum { SAMPLES = 4 << 20 };

#define MILLISECONDS 1000000ull
/* When nothing comes out for so long, what was under way is lost. */
#define GIVE_UP (30 * MILLISECONDS)

static struct {
  const char *server, *peer;
  /* Where they are not as on loopback: the peer's network namespace, by its file, and the address that peers see of relays. */
  const char *peer_network, *relayed;
  /* Whose CPU time is the server's too, such as threads of the kernel that receive for it. */
  int threads[8], thread_count;
  int port, pid, allocations, size, rate, burst, window, to_peer;
  double warmup, seconds;
  struct account account;
} options = {
    .server = "127.0.0.1", .peer = "127.0.0.2", .port = 3478, .allocations = 1, .size = 172, .burst = 1, .window = 192,
    .to_peer = 1, .warmup = 0.5, .seconds = 3};

/* In front of every payload. */
struct stamp {
  uint64_t sent;
  uint32_t measured, magic;
};
#define MAGIC 0x706f7374u

static struct relayed *clients;
static struct sockaddr_in *relays;
static int peer_socket, epoll;

static uint8_t outgoing[BATCH][ROOM], incoming[BATCH][ROOM];
static struct iovec out_parts[BATCH], in_parts[BATCH];
static struct mmsghdr out[BATCH], in[BATCH];

static struct {
  uint64_t sent, received, bad, last_arrival;
  long under_way;
  int next, of_burst;
  uint32_t measured;
  uint32_t *latency;
  size_t samples;
} run;

static void parse(int argc, char **argv) {
  static const struct option names[] = {
      {"server", 1, 0, 's'}, {"port", 1, 0, 'p'}, {"peer", 1, 0, 'e'}, {"pid", 1, 0, 'i'}, {"user", 1, 0, 'u'},
      {"password", 1, 0, 'w'}, {"allocations", 1, 0, 'n'}, {"size", 1, 0, 'l'}, {"rate", 1, 0, 'r'},
      {"window", 1, 0, 'W'}, {"seconds", 1, 0, 't'}, {"warmup", 1, 0, 'T'}, {"direction", 1, 0, 'd'},
      {"burst", 1, 0, 'b'}, {"peer-network", 1, 0, 'N'}, {"relayed", 1, 0, 'R'},
      {"threads", 1, 0, 'k'}, {0, 0, 0, 0}};
  for (int o; (o = getopt_long(argc, argv, "", names, NULL)) != -1;) switch (o) {
      case 's': options.server = optarg; break;
      case 'p': options.port = atoi(optarg); break;
      case 'e': options.peer = optarg; break;
      case 'i': options.pid = atoi(optarg); break;
      case 'u': options.account.username = optarg; break;
      case 'w': options.account.password = optarg; break;
      case 'n': options.allocations = atoi(optarg); break;
      case 'l': options.size = atoi(optarg); break;
      case 'r': options.rate = atoi(optarg); break;
      case 'b': options.burst = atoi(optarg); break;
      case 'W': options.window = atoi(optarg); break;
      case 't': options.seconds = atof(optarg); break;
      case 'T': options.warmup = atof(optarg); break;
      case 'd': options.to_peer = strcmp(optarg, "to-peer") == 0; break;
      case 'N': options.peer_network = optarg; break;
      case 'R': options.relayed = optarg; break;
      case 'k':
        for (char *one = strtok(optarg, ","); one && options.thread_count < 8; one = strtok(NULL, ","))
          options.threads[options.thread_count++] = atoi(one);
        break;
      default: exit(2);
    }
  if (options.size < (int)sizeof(struct stamp) || options.size > ROOM - CHANNEL_HEADER) exit(2);
}

static void enter(int network) {
  if (network < 0 || setns(network, CLONE_NEWNET)) fail("enter a network namespace");
  close(network);
}

static uint64_t server_used(void) {
  uint64_t sum = cpu_used(options.pid);
  for (int i = 0; i < options.thread_count; i++) sum += cpu_used(options.threads[i]);
  return sum;
}

static void open_sockets(void) {
  struct sockaddr_in peer = ipv4_address(options.peer, 0), server = ipv4_address(options.server, options.port);
  socklen_t length = sizeof peer;
  int room = 16 << 20;
  int home = options.peer_network ? open("/proc/self/ns/net", O_RDONLY) : -1;
  if (options.peer_network) enter(open(options.peer_network, O_RDONLY));
  peer_socket = socket(AF_INET, SOCK_DGRAM, 0);
  if (bind(peer_socket, (void *)&peer, sizeof peer)) fail("bind the peer");
  if (options.peer_network) enter(home);
  if (setsockopt(peer_socket, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room))
    setsockopt(peer_socket, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  getsockname(peer_socket, (void *)&peer, &length);

  epoll = epoll_create1(0);
  clients = calloc((size_t)options.allocations, sizeof *clients);
  relays = calloc((size_t)options.allocations, sizeof *relays);
  for (int i = 0; i < options.allocations; i++) {
    struct sockaddr_in own = {.sin_family = AF_INET};
    if (!options.peer_network) own.sin_addr.s_addr = loopback_source((uint32_t)i);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
    int fd = clients[i].fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || bind(fd, (void *)&own, sizeof own) || connect(fd, (void *)&server, sizeof server)) fail("client");
    room = 4 << 20;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    turn_allocate(&clients[i], &options.account);
    turn_channel_bind(&clients[i], &options.account, FIRST_CHANNEL + i % 0x1000, peer);
    relays[i] = ipv4_address(options.relayed ? options.relayed : options.server, clients[i].port);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  }
}

static void prepare_batches(void) {
  for (int i = 0; i < BATCH; i++) {
    memset(outgoing[i], i, ROOM);
    out_parts[i] = (struct iovec){outgoing[i], (size_t)(options.size + (options.to_peer ? CHANNEL_HEADER : 0))};
    in_parts[i] = (struct iovec){incoming[i], ROOM};
    out[i].msg_hdr = (struct msghdr){.msg_iov = &out_parts[i], .msg_iovlen = 1};
    in[i].msg_hdr = (struct msghdr){.msg_iov = &in_parts[i], .msg_iovlen = 1};
  }
}

/* Writes a packet for allocation `i` into slot `k`; returns its length. */
static size_t write_packet(int k, int i, uint64_t now) {
  struct stamp stamp = {.sent = now, .measured = run.measured, .magic = MAGIC};
  uint8_t *at = outgoing[k];
  if (options.to_peer) {
    int channel = FIRST_CHANNEL + i % 0x1000;
    at[0] = (uint8_t)(channel >> 8), at[1] = (uint8_t)channel;
    at[2] = (uint8_t)(options.size >> 8), at[3] = (uint8_t)options.size;
    at += CHANNEL_HEADER;
  }
  memcpy(at, &stamp, sizeof stamp);
  return out_parts[k].iov_len;
}

static int advance(void) {
  int i = run.next;
  if (++run.of_burst >= options.burst) run.of_burst = 0, run.next = (i + 1) % options.allocations;
  return i;
}

/* Sends up to `count` packets; returns how many went. */
static int send_some(int count, uint64_t now) {
  int sent = 0;
  if (options.to_peer && options.allocations > 1) {
    for (; sent < count; sent++) {
      int i = run.next;
      size_t length = write_packet(0, i, now);
      if (send(clients[i].fd, outgoing[0], length, MSG_DONTWAIT) < 0) break;
      advance();
    }
    return sent;
  }
  for (int k = 0; k < count; k++) {
    int i = advance();
    write_packet(k, i, now);
    if (options.to_peer) continue;
    out[k].msg_hdr.msg_name = &relays[i];
    out[k].msg_hdr.msg_namelen = sizeof relays[i];
  }
  sent = sendmmsg(options.to_peer ? clients[0].fd : peer_socket, out, (unsigned)count, MSG_DONTWAIT);
  return sent < 0 ? 0 : sent;
}

static void arrived(const uint8_t *packet, int length, uint64_t now) {
  struct stamp stamp;
  if (!options.to_peer) {
    int announced = packet[2] << 8 | packet[3];
    if (length < CHANNEL_HEADER || packet[0] >> 6 != 1 || announced != options.size) run.bad++;
    packet += CHANNEL_HEADER, length -= CHANNEL_HEADER;
  }
  if (length < options.size) {
    run.bad++;
    return;
  }
  memcpy(&stamp, packet, sizeof stamp);
  if (stamp.magic != MAGIC || length != options.size) run.bad++;
  if (run.under_way > 0) run.under_way--;
  run.last_arrival = now;
  if (!stamp.measured) return;
  run.received++;
  if (run.samples < SAMPLES) run.latency[run.samples++] = (uint32_t)(now - stamp.sent);
}

static void receive_batch(int fd) {
  int count = recvmmsg(fd, in, BATCH, MSG_DONTWAIT, NULL);
  uint64_t now = clock_now();
  for (int k = 0; k < count; k++) arrived(incoming[k], (int)in[k].msg_len, now);
}

static void receive_some(void) {
  if (options.to_peer) return receive_batch(peer_socket);
  if (options.allocations == 1) return receive_batch(clients[0].fd);
  struct epoll_event events[BATCH];
  int ready = epoll_wait(epoll, events, BATCH, 0);
  for (int k = 0; k < ready; k++) {
    int length = (int)recv(clients[events[k].data.u32].fd, incoming[0], ROOM, MSG_DONTWAIT);
    if (length > 0) arrived(incoming[0], length, clock_now());
  }
}

/* How many packets may go now: what the window has room for, or a burst whenever the rate says so. */
static int allowance(uint64_t now, uint64_t *due) {
  if (options.rate == 0) {
    if (now - run.last_arrival > GIVE_UP) run.under_way = 0, run.last_arrival = now;
    long room = options.window - run.under_way;
    /* One flow is sent in batches: wait until one is worth it. */
    if (options.allocations == 1 && room < 16 && run.under_way > 16) return 0;
    return room > BATCH ? BATCH : room < 0 ? 0 : (int)room;
  }
  if (now < *due) return 0;
  *due += 1000000000ull * (uint64_t)options.burst / (uint64_t)options.rate;
  if (now > *due + 20 * MILLISECONDS) *due = now;
  return options.burst;
}

static void relay_until(uint64_t end) {
  uint64_t due = clock_now();
  for (uint64_t now; (now = clock_now()) < end;) {
    int count = allowance(now, &due);
    if (count > 0) {
      int sent = send_some(count, now);
      run.under_way += sent;
      if (run.measured) run.sent += (uint64_t)sent;
    }
    receive_some();
  }
}

static void drain(void) {
  run.last_arrival = clock_now();
  while (run.received < run.sent && clock_now() - run.last_arrival < 100 * MILLISECONDS) receive_some();
}

int main(int argc, char **argv) {
  parse(argc, argv);
  allow_descriptors(options.allocations + 64);
  open_sockets();
  prepare_batches();
  run.latency = malloc(SAMPLES * sizeof *run.latency);
  memset(run.latency, 1, SAMPLES * sizeof *run.latency);

  relay_until(clock_now() + (uint64_t)(options.warmup * 1e9));
  run.measured = 1;
  uint64_t begin = clock_now(), used = server_used();
  relay_until(begin + (uint64_t)(options.seconds * 1e9));
  used = server_used() - used;
  double elapsed = (double)(clock_now() - begin) / 1e9;
  double relayed = (double)run.received;
  drain();
  for (int i = 0; i < options.allocations; i++) {
    fcntl(clients[i].fd, F_SETFL, 0);
    turn_release(&clients[i], &options.account);
  }

  double loss = run.sent ? 100.0 * (double)(run.sent - run.received) / (double)run.sent : 0;
  double p50 = quantile(run.latency, run.samples, 0.5) / 1e3, p99 = quantile(run.latency, run.samples, 0.99) / 1e3;
  printf("{\"packetsPerSecond\":%.0f,\"cpuMicroseconds\":%.3f,\"utilization\":%.3f,\"lossPercent\":%.4f,"
         "\"p50Microseconds\":%.1f,\"p99Microseconds\":%.1f,\"bad\":%llu}\n",
         relayed / elapsed, relayed > 0 ? (double)used / 1e3 / relayed : 0, (double)used / 1e9 / elapsed, loss, p50, p99,
         (unsigned long long)run.bad);
  return run.bad > 0;
}
