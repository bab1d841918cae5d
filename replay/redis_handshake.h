#ifndef SLUICE_REPLAY_REDIS_HANDSHAKE_H
#define SLUICE_REPLAY_REDIS_HANDSHAKE_H

#include <stdint.h>

#include "replay/redis_request.h"

struct redis_handshake {
    char error[160]; /* empty: all went well */
    uint64_t noted_hole_ms;
    uint64_t id; /* of this Redis; 0: it has none that is understood */
};

/* On a new connection: loads the scripts, sees whether Redis takes writes, and asks for its id. done is called once, unless it returns < 0. */
int redis_handshake_start(struct redis_requests *requests,
                          void (*done)(void *context, const struct redis_handshake *result), void *context);

#endif
