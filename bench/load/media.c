#include "media.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"

enum { HEADER = 12, PAYLOAD = 160, SAMPLES = 1 << 22 };
static const uint64_t INTERVAL = 20000000, PAUSE = 500000000;

struct stamp {
  uint64_t sent;
  /* Who sends, and whether it counts. */
  uint32_t from, measured;
};

static struct {
  char **responses;
  int kept, room;
} calls;

static struct {
  uint64_t sent, received, foreign;
  uint32_t *delay;
  size_t samples;
} count;

void media_keep(const char *response) {
  if (calls.kept == calls.room) {
    calls.room = calls.room ? 2 * calls.room : 64;
    calls.responses = realloc(calls.responses, (size_t)calls.room * sizeof *calls.responses);
  }
  calls.responses[calls.kept++] = strdup(response);
}

static void send_one(int fd, const struct network *network, int i, uint32_t sequence, int measured, uint64_t now) {
  const struct phone *phone = &network->phones[i];
  uint8_t packet[HEADER + PAYLOAD] = {0x80, 0, (uint8_t)(sequence >> 8), (uint8_t)sequence};
  uint32_t time = htonl(sequence * PAYLOAD), source = htonl(0x10000 + (uint32_t)i);
  struct stamp stamp = {now, (uint32_t)i, (uint32_t)measured};
  memcpy(packet + 4, &time, 4);
  memcpy(packet + 8, &source, 4);
  memset(packet + HEADER, 0xff, PAYLOAD);
  memcpy(packet + HEADER, &stamp, sizeof stamp);
  if (phone->media.sin_port == 0) return;
  anyip_send(fd, phone->address, &phone->media, packet, sizeof packet);
  if (measured) count.sent++;
}

/* Delays are kept in 32 bits: 4 s and more are all the same. */
static uint32_t nanoseconds(uint64_t delay) {
  return delay > UINT32_MAX ? UINT32_MAX : (uint32_t)delay;
}

/* How many came. */
static int receive_some(int fd, const struct network *network) {
  struct anyip_packet packets[ANYIP_BATCH];
  int got = anyip_receive(fd, packets);
  uint64_t now = clock_now();
  for (int k = 0; k < got; k++) {
    struct stamp stamp;
    if (packets[k].length != HEADER + PAYLOAD) continue;
    memcpy(&stamp, packets[k].data + HEADER, sizeof stamp);
    /* Phones 2n and 2n + 1 talk to each other, and nobody else may hear them. */
    if (phone_at(network, packets[k].to) != &network->phones[stamp.from ^ 1]) count.foreign++;
    if (!stamp.measured) continue;
    count.received++;
    if (count.samples < SAMPLES) count.delay[count.samples++] = nanoseconds(now - stamp.sent);
  }
  return got;
}

/* What is under way may arrive, for as long as anything does. */
static void drain(int fd, const struct network *network) {
  uint64_t last = clock_now();
  for (uint64_t now; count.received < count.sent && (now = clock_now()) - last < PAUSE;) {
    if (receive_some(fd, network) > 0) last = now;
  }
}

/* Phones that were sent past the relay. */
static int direct(const struct network *network, int phones) {
  int sum = 0;
  for (int i = 0; i < phones; i++) {
    sum += network->phones[i].media.sin_addr.s_addr != network->server.sin_addr.s_addr;
  }
  return sum;
}

int media_run(struct network *network, int wanted, double seconds, double warmup, uint64_t (*used)(void),
              void (*signal)(void)) {
  int fd = anyip_open(MEDIA_PORT), streams = 2 * wanted;
  count.delay = malloc(SAMPLES * sizeof *count.delay);
  uint64_t start = clock_now(), measure = start + (uint64_t)(warmup * 1e9), end = measure + (uint64_t)(seconds * 1e9);
  uint64_t step = INTERVAL / (uint64_t)streams, due = start, late = 0, cpu = 0, turn = 0;
  int measured = 0;
  for (uint64_t now; (now = clock_now()) < end; turn++) {
    if (!measured && now >= measure) measured = 1, cpu = used();
    for (int burst = 0; burst < 8 && now >= due; burst++, due += step) {
      uint64_t number = (due - start) / step;
      send_one(fd, network, (int)(number % (uint64_t)streams), (uint32_t)(number / (uint64_t)streams), measured, now);
      if (measured && now - due > late) late = now - due;
    }
    receive_some(fd, network);
    if (turn % 64 == 0) signal();
  }
  cpu = used() - cpu;
  double relayed = (double)count.received, elapsed = (double)(clock_now() - measure) / 1e9;
  drain(fd, network);
  network->describes_media = 0;
  for (int i = 0; i < calls.kept; i++) {
    /* A call's place in the order of answers says nothing: whose it is stands in From. */
    const char *from = strstr(calls.responses[i], "From: <sip:u");
    if (from != NULL) say_bye(network, &network->phones[atoi(from + 12)], calls.responses[i]);
    if (i % 16 == 0) signal();
  }
  for (uint64_t until = clock_now() + 300000000; clock_now() < until;) signal();
  double loss = count.sent ? 100.0 * (double)(count.sent - count.received) / (double)count.sent : 100;
  double p50 = quantile(count.delay, count.samples, 0.5) / 1e3, p99 = quantile(count.delay, count.samples, 0.99) / 1e3;
  printf("{\"calls\":%d,\"packetsPerSecond\":%.0f,\"cpuMicroseconds\":%.3f,\"utilization\":%.3f,\"lossPercent\":%.4f,"
         "\"p50Microseconds\":%.1f,\"p99Microseconds\":%.1f,\"latestMs\":%.1f,\"direct\":%d,\"foreign\":%llu,\"dropsHere\":%u}\n",
         calls.kept, relayed / elapsed, relayed > 0 ? (double)cpu / 1e3 / relayed : 0, (double)cpu / 1e9 / elapsed, loss,
         p50, p99, (double)late / 1e6, direct(network, streams), (unsigned long long)count.foreign, anyip_drops(fd));
  return 0;
}
