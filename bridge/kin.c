#include "bridge/kin.h"

#include <stdlib.h>

#include "core/clock.h"

#define MS INT64_C(1000000)

enum {
    JOIN_MS = 1500,    /* how long Redis is waited for at the start; as long as ownership.c waits for it */
    CHANGE_MS = 10000, /* in which all learn a new id: store_redis.c asks every second, and reconnects within four */
    TELL_MS = 60000,   /* between two log lines */
    KNOWN_MAX = 64,
};

/* A replica that was taken for ours. */
struct known {
    struct live_id id;
    int64_t ours_ns; /* when there was no doubt last */
};

struct kin {
    struct kin_options options;
    bool has_joined;
    int64_t started_ns;
    struct log_limiter refused_limiter;
    int64_t told_ns; /* of foreign replicas; 0: never */
    int64_t untold;
    struct known known[KNOWN_MAX];
    size_t known_count;
};

static struct known *find(struct kin *kin, struct live_id id)
{
    for (size_t i = 0; i < kin->known_count; i++)
        if (live_id_equals(kin->known[i].id, id))
            return &kin->known[i];
    return NULL;
}

/* The one that was ours longest ago makes room. */
static struct known *add(struct kin *kin)
{
    struct known *oldest = kin->known;

    if (kin->known_count < KNOWN_MAX)
        return &kin->known[kin->known_count++];
    for (size_t i = 1; i < KNOWN_MAX; i++)
        if (kin->known[i].ours_ns < oldest->ours_ns)
            oldest = &kin->known[i];
    return oldest;
}

static void tell_foreign(struct kin *kin, int64_t now_ns)
{
    metrics_add(kin->options.metrics, METRIC_LIVE_FOREIGN, 1);
    if (kin->told_ns > 0 && now_ns - kin->told_ns < TELL_MS * MS) {
        kin->untold++;
        return;
    }
    log_write(kin->options.log, LOG_LEVEL_ERROR,
              "Replicas with another Redis use the same REPLICA_GROUP: they are ignored, and ignore this one",
              LOG_FIELDS(log_number("suppressed", kin->untold)));
    kin->told_ns = now_ns;
    kin->untold = 0;
}

bool kin_is_ours(struct kin *kin, const struct live_header *header, int64_t received_ns)
{
    uint64_t mine = store_id(kin->options.store);
    bool is_same = mine == header->store || mine == 0 || header->store == 0;
    bool may_learn = header->store_lost || store_state(kin->options.store) != STORE_READY;
    struct known *known = NULL;

    if (live_id_equals(header->from, kin->options.id))
        return true;
    known = find(kin, header->from);
    if (is_same || (known && may_learn)) {
        known = known ? known : add(kin);
        *known = (struct known){.id = header->from, .ours_ns = received_ns};
        return true;
    }
    if (known && received_ns - known->ours_ns < CHANGE_MS * MS)
        return true;
    if (known)
        *known = kin->known[--kin->known_count];
    tell_foreign(kin, received_ns);
    return false;
}

void kin_refuse(struct kin *kin)
{
    int64_t suppressed;

    metrics_add(kin->options.metrics, METRIC_LIVE_REFUSED, 1);
    if (log_limiter_allow(&kin->refused_limiter, &suppressed))
        log_write(kin->options.log, LOG_LEVEL_ERROR,
                  "A message of another replica is not understood: who else publishes to " LIVE_SUBJECT "?",
                  LOG_FIELDS(log_number("suppressed", suppressed)));
}

bool kin_may_join(struct kin *kin, int64_t now_ns)
{
    if (!kin->has_joined)
        kin->has_joined = now_ns >= kin_deadline_ns(kin);
    return kin->has_joined;
}

int64_t kin_deadline_ns(const struct kin *kin)
{
    if (kin->has_joined)
        return INT64_MAX;
    if (store_id(kin->options.store) > 0 || store_is_memory(kin->options.store))
        return 0;
    return kin->started_ns + JOIN_MS * MS;
}

struct kin *kin_new(const struct kin_options *options)
{
    struct kin *kin = calloc(1, sizeof *kin);

    if (!kin)
        return NULL;
    kin->options = *options;
    kin->started_ns = clock_monotonic_ns();
    return kin;
}

void kin_free(struct kin *kin)
{
    free(kin);
}
