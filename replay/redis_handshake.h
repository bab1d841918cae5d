#ifndef SLUICE_REPLAY_REDIS_HANDSHAKE_H
#define SLUICE_REPLAY_REDIS_HANDSHAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "replay/redis_request.h"

struct redis_handshake {
    char error[160]; /* empty: all went well */
    bool fenced;
    uint64_t noted_hole_ms;
};

/* On a new connection: loads the scripts, claims the intake for the holder. done is called once, unless it returns < 0. */
int redis_handshake_start(struct redis_requests *requests, const char *holder,
                          void (*done)(void *context, const struct redis_handshake *result), void *context);

#endif
