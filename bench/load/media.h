/* G.711 between the two ends of calls that were set up: a packet every 20 ms each way, all spread evenly. */
#ifndef MEDIA_H
#define MEDIA_H
#include <stdint.h>

#include "phones.h"

/* The call that was answered so stays, and ends with the run. */
void media_keep(const char *response);
/* `used`: CPU of the servers, in nanoseconds. `signal`: lets phones answer what comes meanwhile. Prints the result. */
int media_run(struct network *network, int calls, double seconds, double warmup, uint64_t (*used)(void),
              void (*signal)(void));
#endif
