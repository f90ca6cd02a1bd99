/* Clocks, what a process has used, and quantiles. */
#ifndef MEASURE_H
#define MEASURE_H
#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>

/* Nanoseconds, monotonic. */
uint64_t clock_now(void);
/* Nanoseconds of CPU, user and system, over all threads of a process: exact, from the scheduler. */
uint64_t cpu_used(int pid);
/* Sorts `values`; quantile 0.5 is the median. 0 when there are none. */
uint32_t quantile(uint32_t *values, size_t count, double q);
struct sockaddr_in ipv4_address(const char *ip, int port);
/* Source number `i` of 127.16.0.0 to 127.255.255.255. */
uint32_t loopback_source(uint32_t i);
void allow_descriptors(int count);
void fail(const char *what);

#endif
