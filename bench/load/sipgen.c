/*
 * Load for a SIP server, from phones that each have an address of their own (see anyip.h).
 *
 *   fill      each registers once
 *   register  each registers: challenged, and answered with MD5
 *   call      every other one calls the next: challenged, answered, acknowledged and hung up at once
 *   media     so many calls at once, with G.711 in both directions
 *
 * Nothing is repeated: what is lost, refused or late by two seconds has failed. Prints one line of JSON.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "media.h"
#include "phones.h"
#include "sip.h"

enum { PIDS = 32, SAMPLES = 1 << 20 };
static const uint64_t SECOND = 1000000000, PATIENCE = 2 * (uint64_t)1000000000;

static struct {
  const char *mode, *password;
  double seconds, warmup;
  /* A second; 0: as many as `window` allows at once. */
  long rate, window;
  int calls, pids[PIDS], pid_count;
} options = {.mode = "register", .password = "", .seconds = 3, .warmup = 0.5, .window = 64};

static struct network network = {.domain = "bench.example", .count = 10000};

/* What was begun, oldest first, so that what is late is found without a search. */
static struct {
  struct {
    struct phone *phone;
    uint32_t attempt;
  } *queue;
  size_t head, tail, room;
} begun;

static struct {
  int next, measured;
  long under_way;
  uint64_t finished, started, done, failed, refused, overrun;
  uint32_t *latency;
  size_t samples;
} run;

static uint64_t cpu_of_all(void) {
  uint64_t sum = 0;
  for (int i = 0; i < options.pid_count; i++) sum += cpu_used(options.pids[i]);
  return sum;
}

static int is_calling(void) {
  return options.mode[0] != 'r';
}

static struct phone *callee_of(struct phone *caller) {
  return caller + 1;
}

static void finish(struct phone *phone, int well) {
  phone->stage = IDLE;
  run.under_way--;
  if (well) run.finished++;
  if (!phone->measured) return;
  if (well) run.done++;
  else run.failed++;
}

static void note_latency(const struct phone *phone, uint64_t now) {
  if (phone->measured && run.samples < SAMPLES) run.latency[run.samples++] = (uint32_t)((now - phone->begun) / 1000);
}

static void begin_one(uint64_t now) {
  int step = is_calling() ? 2 : 1, last = options.calls > 0 ? 2 * options.calls : network.count;
  struct phone *phone = &network.phones[run.next];
  run.next = run.next + 2 * step - 1 < last ? run.next + step : 0;
  if (phone->stage != IDLE) {
    run.overrun++;
    return;
  }
  phone->attempt = is_calling() ? phone->attempt + 1 : 0;
  phone->stage = ASKING;
  phone->begun = now;
  phone->measured = run.measured;
  run.under_way++;
  if (run.measured) run.started++;
  begun.queue[begun.tail].phone = phone;
  begun.queue[begun.tail].attempt = phone->cseq;
  begun.tail = (begun.tail + 1) % begun.room;
  if (is_calling()) say_invite(&network, phone, callee_of(phone), NULL);
  else say_register(&network, phone, NULL);
}

static void give_up_what_is_late(uint64_t now) {
  while (begun.head != begun.tail) {
    struct phone *phone = begun.queue[begun.head].phone;
    uint32_t since = phone->cseq - begun.queue[begun.head].attempt;
    int is_same = phone->stage != IDLE && since <= 3;
    if (is_same && now - phone->begun < PATIENCE) return;
    if (is_same) finish(phone, 0);
    begun.head = (begun.head + 1) % begun.room;
  }
}

static void refuse(struct phone *phone, const char *response) {
  if (run.refused++ == 0) fprintf(stderr, "refused: %.*s\n", (int)strcspn(response, "\r"), response);
  finish(phone, 0);
}

static void registered(struct phone *phone, const char *response, uint64_t now) {
  int status = sip_status(response);
  if (status == 401 && phone->stage == ASKING && say_register(&network, phone, response)) phone->stage = ANSWERING;
  else if (status == 200) note_latency(phone, now), finish(phone, 1);
  else refuse(phone, response);
}

static void called(struct phone *phone, const char *response, uint64_t now) {
  int status = sip_status(response);
  if (phone->stage == ENDING) return finish(phone, status == 200);
  say_ack(&network, phone, callee_of(phone), response);
  if (status == 407 && phone->stage == ASKING && say_invite(&network, phone, callee_of(phone), response)) {
    phone->stage = ANSWERING;
  } else if (status == 200) {
    note_latency(phone, now);
    note_media(phone, response);
    if (options.calls > 0) {
      media_keep(response);
      return finish(phone, 1);
    }
    say_bye(&network, phone, response);
    phone->stage = ENDING;
  } else refuse(phone, response);
}

static void handle(const struct anyip_packet *packet, uint64_t now) {
  struct phone *phone = phone_at(&network, packet->to);
  if (phone == NULL || packet->length < 16) return;
  int status = sip_status(packet->data);
  if (status == 0) return answer_request(&network, phone, packet);
  /* Only what answers the latest request is of interest. */
  if (status < 200 || phone->stage == IDLE || (uint32_t)atoi(sip_field(packet->data, "CSeq:").at) != phone->cseq) return;
  if (is_calling()) called(phone, packet->data, now);
  else registered(phone, packet->data, now);
}

static void receive_some(void) {
  struct anyip_packet packets[ANYIP_BATCH];
  int count = anyip_receive(network.fd, packets);
  uint64_t now = clock_now();
  for (int i = 0; i < count; i++) handle(&packets[i], now);
}

static int is_due(uint64_t now, uint64_t *due) {
  if (options.rate == 0) return run.under_way < options.window;
  if (now < *due) return 0;
  *due += SECOND / (uint64_t)options.rate;
  return 1;
}

static void load_until(uint64_t end, uint64_t count) {
  uint64_t due = clock_now(), started = 0;
  for (uint64_t now; (now = clock_now()) < end && (started < count || run.under_way > 0);) {
    for (int i = 0; i < 16 && started < count && is_due(now, &due); i++) begin_one(now), started++;
    receive_some();
    give_up_what_is_late(now);
  }
}

/* What is under way may end; nothing begins. */
static void drain(void) {
  load_until(clock_now() + 3 * SECOND, 0);
}

/* Separated by commas. */
static void parse_pids(char *list) {
  for (char *one = strtok(list, ","); one != NULL && options.pid_count < PIDS; one = strtok(NULL, ",")) {
    options.pids[options.pid_count++] = atoi(one);
  }
}

static void parse(int argc, char **argv) {
  static const struct option names[] = {
      {"mode", 1, 0, 'm'},    {"server", 1, 0, 's'}, {"domain", 1, 0, 'd'}, {"password", 1, 0, 'w'},
      {"users", 1, 0, 'u'},   {"seconds", 1, 0, 't'}, {"warmup", 1, 0, 'W'}, {"rate", 1, 0, 'r'},
      {"window", 1, 0, 'o'},  {"calls", 1, 0, 'c'},  {"pids", 1, 0, 'p'},    {"describe", 1, 0, 'D'}, {0}};
  const char *server = "127.0.0.1";
  for (int flag; (flag = getopt_long(argc, argv, "", names, NULL)) != -1;) {
    if (flag == 'm') options.mode = optarg;
    else if (flag == 's') server = optarg;
    else if (flag == 'd') network.domain = optarg;
    else if (flag == 'w') options.password = optarg;
    else if (flag == 'u') network.count = atoi(optarg);
    else if (flag == 't') options.seconds = atof(optarg);
    else if (flag == 'W') options.warmup = atof(optarg);
    else if (flag == 'r') options.rate = atol(optarg);
    else if (flag == 'o') options.window = atol(optarg);
    else if (flag == 'c') options.calls = atoi(optarg);
    else if (flag == 'D') network.describes_media = atoi(optarg);
    else if (flag == 'p') parse_pids(optarg);
    else exit(2);
  }
  network.server = ipv4_address(server, SIP_PORT);
}

static void print_rates(double elapsed, uint64_t finished, uint64_t used) {
  double p50 = quantile(run.latency, run.samples, 0.5) / 1e3, p95 = quantile(run.latency, run.samples, 0.95) / 1e3;
  double failed = run.started ? 100.0 * (double)run.failed / (double)run.started : 100;
  printf("{\"perSecond\":%.1f,\"cpuMicroseconds\":%.3f,\"utilization\":%.3f,\"failedPercent\":%.4f,\"p50Ms\":%.3f,"
         "\"p95Ms\":%.3f,\"overrun\":%llu,\"dropsHere\":%u}\n",
         (double)finished / elapsed, finished ? (double)used / 1e3 / (double)finished : 0, (double)used / 1e9 / elapsed,
         failed, p50, p95, (unsigned long long)run.overrun, anyip_drops(network.fd));
}

/* Every phone once, at most so many at a time. */
static void register_all(void) {
  const char *mode = options.mode;
  long rate = options.rate;
  options.mode = "register", options.rate = 0;
  int count = options.calls > 0 ? 2 * options.calls : network.count;
  load_until(clock_now() + 60 * SECOND, (uint64_t)count);
  if (run.finished != (uint64_t)count) fprintf(stderr, "%llu of %d registered\n", (unsigned long long)run.finished, count);
  options.mode = mode, options.rate = rate;
  run.next = 0, run.finished = 0;
}

int main(int argc, char **argv) {
  parse(argc, argv);
  network.run = (uint32_t)(clock_now() / 1000);
  network.fd = anyip_open(SIP_PORT);
  phones_create(&network, options.password, ntohl(inet_addr("10.80.1.0")));
  begun.room = 1 << 20;
  begun.queue = calloc(begun.room, sizeof *begun.queue);
  run.latency = malloc(SAMPLES * sizeof *run.latency);

  if (strcmp(options.mode, "fill") == 0) {
    uint64_t from = clock_now();
    register_all();
    printf("{\"seconds\":%.3f}\n", (double)(clock_now() - from) / 1e9);
    return 0;
  }
  if (is_calling()) register_all();
  if (options.calls > 0) {
    load_until(clock_now() + 60 * SECOND, (uint64_t)options.calls);
    if (run.finished != (uint64_t)options.calls) fprintf(stderr, "%llu calls\n", (unsigned long long)run.finished);
    return media_run(&network, options.calls, options.seconds, options.warmup, cpu_of_all, receive_some);
  }
  load_until(clock_now() + (uint64_t)(options.warmup * 1e9), UINT64_MAX);
  run.measured = 1;
  uint64_t begin = clock_now(), used = cpu_of_all(), finished = run.finished;
  load_until(begin + (uint64_t)(options.seconds * 1e9), UINT64_MAX);
  used = cpu_of_all() - used;
  finished = run.finished - finished;
  double elapsed = (double)(clock_now() - begin) / 1e9;
  run.measured = 0;
  drain();
  print_rates(elapsed, finished, used);
  return 0;
}
