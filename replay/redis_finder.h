#ifndef SLUICE_REPLAY_REDIS_FINDER_H
#define SLUICE_REPLAY_REDIS_FINDER_H

#include "replay/redis_command.h"
#include "replay/redis_line.h"

/*
 * Asks one server after the other, each over a line of its own, until one gives an answer that is one: which master a Sentinel
 * knows, which nodes a cluster has. One thread; it never blocks it.
 */
struct redis_finder;

struct redis_finder_options {
    const struct redis_endpoint *servers; /* outlive the finder */
    size_t count;                         /* at least one */
    size_t first;                         /* which of them is asked first */
    struct redis_line_options line;       /* but for its server */
    void (*write_question)(void *context, struct redis_command *command);
    /* Takes the answer of a server. Returns 0, or < 0: it is none, and why; then the next server is asked. */
    int (*take_answer)(void *context, const struct redis_endpoint *server, const struct redisReply *reply,
                       char ret_reason[REDIS_REASON_SIZE]);
    void *context;
};

/* NULL: no memory or thread. */
struct redis_finder *redis_finder_new(const struct redis_finder_options *options);

/* The server that was asked last, of the options' list. */
size_t redis_finder_asked(const struct redis_finder *finder);

/* What to wait for, and until when, before the next run. */
int redis_finder_poll_fd(const struct redis_finder *finder, short *ret_events);
int64_t redis_finder_deadline_ns(const struct redis_finder *finder);

/* Returns -EINPROGRESS, 0: an answer was taken, or -EHOSTUNREACH: nobody gave one, and why the last one did not. */
int redis_finder_run(struct redis_finder *finder, char ret_reason[REDIS_REASON_SIZE]);

/* NULL is fine. */
void redis_finder_free(struct redis_finder *finder);

#endif
