#ifndef SLUICE_REPLAY_REDIS_REDIRECT_H
#define SLUICE_REPLAY_REDIS_REDIRECT_H

#include "replay/redis_endpoint.h"

/* What a node of a Redis Cluster says that has not got the keys of a command. */
enum redis_redirect_kind {
    REDIS_NO_REDIRECT,
    REDIS_MOVED,     /* the slot is another node's */
    REDIS_ASK,       /* the slot is on its way to another node, which has these keys already: for this once */
    REDIS_TRY_AGAIN, /* the keys are on their way, some here and some there */
};

struct redis_redirect {
    enum redis_redirect_kind kind;
    unsigned slot;
    struct redis_endpoint node; /* of the first two */
};

/* Reads an error's text. asked: who said so; the other node has its host where none is named. */
struct redis_redirect redis_redirect_read(const char *text, const struct redis_endpoint *asked);

#endif
