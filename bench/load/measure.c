#include "measure.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

uint64_t clock_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t cpu_used(int pid) {
  char path[320];
  snprintf(path, sizeof path, "/proc/%d/task", pid);
  DIR *tasks = opendir(path);
  if (tasks == NULL) fail(path);
  uint64_t sum = 0;
  for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
    if (task->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, task->d_name);
    FILE *file = fopen(path, "r");
    if (file == NULL) continue;
    unsigned long long used = 0;
    if (fscanf(file, "%llu", &used) == 1) sum += used;
    fclose(file);
  }
  closedir(tasks);
  return sum;
}

static int compare(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

uint32_t quantile(uint32_t *values, size_t count, double q) {
  if (count == 0) return 0;
  qsort(values, count, sizeof *values, compare);
  return values[(size_t)((double)(count - 1) * q)];
}

struct sockaddr_in ipv4_address(const char *ip, int port) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  if (inet_pton(AF_INET, ip, &a.sin_addr) != 1) fail(ip);
  return a;
}

uint32_t loopback_source(uint32_t i) {
  /* A server may remember a client's address for a while, so every run begins elsewhere. */
  static uint32_t first;
  if (first == 0) first = (uint32_t)(clock_now() / 1000) | 1;
  /* 127.16.0.0 to 127.254.255.255: the last address of all is a broadcast, from which nothing can be sent. */
  return htonl((127u << 24 | 16u << 16) + (first + i) % (239u << 16));
}

void allow_descriptors(int count) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= (rlim_t)count) return;
  limit.rlim_cur = (rlim_t)count;
  if (limit.rlim_max < limit.rlim_cur) limit.rlim_max = limit.rlim_cur;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) fail("setrlimit");
}

void fail(const char *what) {
  perror(what);
  exit(1);
}
