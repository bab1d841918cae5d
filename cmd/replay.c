#include "cmd/replay.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bridge/bridge.h"
#include "cmd/flags.h"
#include "core/clock.h"
#include "core/metrics.h"
#include "core/since.h"

#define NS_PER_S INT64_C(1000000000)

enum {
    BEGIN_S = 10, /* for NATS, Redis and the lease, which may be that of a replica that died just now */
    DRAIN_S = 30,
    POLL_US = 10000,
};

struct replay {
    const struct config *config;
    struct metrics *metrics;
    struct bridge *bridge;
};

static int complain(const char *problem)
{
    return flags_complain(stderr, "replay --from 2026-01-31T12:00:00+01:00|MILLISECONDS|24h [--setting value]...",
                          "--from", problem);
}

int replay_take_arguments(int *argc, char **argv, int64_t *ret_from_ms)
{
    int64_t now_ms = clock_unix_ms();
    const char *from = NULL;
    const struct flag flags[] = {{"--from", &from}};
    const char *name;
    const char *problem = flags_take(flags, 1, argc, argv, &name);
    int64_t from_ms;

    if (problem)
        return complain(problem);
    if (!from)
        return complain("is required");
    if (since_parse(from, strlen(from), now_ms, &from_ms) < 0 || from_ms <= 0 || from_ms > now_ms)
        return complain("expected, in the past, " SINCE_EXPECTED);
    *ret_from_ms = from_ms;
    return 0;
}

static bool has(const struct replay *replay, enum metric metric)
{
    return metrics_get(replay->metrics, metric) > 0;
}

static int fail(const char *problem)
{
    fprintf(stderr, "sluice replay: %s\n", problem);
    return EXIT_FAILURE;
}

static int wait_for_intake(const struct replay *replay)
{
    int64_t deadline_ns = clock_monotonic_ns() + BEGIN_S * NS_PER_S;

    while (!has(replay, METRIC_OWNER)) {
        if (has(replay, METRIC_PEERS))
            return fail("a replica is running: stop all of them first");
        if (clock_monotonic_ns() < deadline_ns)
            usleep(POLL_US);
        else if (!bridge_nats_connected(replay->bridge))
            return fail("NATS is not connected");
        else if (!has(replay, METRIC_REDIS_CONNECTED))
            return fail("Redis is not connected");
        else
            return fail("another process holds the intake of this Redis: stop all replicas first");
    }
    return 0;
}

static int wait_for_end(const struct replay *replay)
{
    int64_t deadline_ns = clock_monotonic_ns() + BEGIN_S * NS_PER_S;

    while (!bridge_is_at_end(replay->bridge)) {
        if (!has(replay, METRIC_OWNER))
            return fail("the intake was lost; run it again");
        if (has(replay, METRIC_STREAM_CONNECTED))
            deadline_ns = clock_monotonic_ns() + BEGIN_S * NS_PER_S;
        else if (clock_monotonic_ns() > deadline_ns)
            return fail("the stream cannot be read");
        usleep(POLL_US);
    }
    return 0;
}

static int refill(const struct replay *replay)
{
    int status = wait_for_intake(replay);

    if (status == 0)
        status = wait_for_end(replay);
    if (status != 0)
        return status;
    if (bridge_drain(replay->bridge, clock_monotonic_ns() + DRAIN_S * NS_PER_S) > 0)
        return fail("not everything could be appended; run it again");
    printf("%" PRId64 " events of %" PRId64 " companies appended, %" PRId64 " were there\n",
           metrics_get(replay->metrics, METRIC_EVENTS_ACCEPTED), bridge_numbered_companies(replay->bridge),
           metrics_get(replay->metrics, METRIC_EVENTS_DUPLICATE));
    return EXIT_SUCCESS;
}

int replay_run(const struct config *config, int64_t from_ms, struct log *log)
{
    struct replay replay = {.config = config};
    int status = EXIT_FAILURE;

    if (!*config->nats_stream || !*config->redis_url)
        return complain("NATS_STREAM and REDIS_URL are required");
    replay.metrics = metrics_new();
    if (replay.metrics && bridge_new(
                              &(struct bridge_options){
                                  .config = config, .replay_from_ms = from_ms, .log = log, .metrics = replay.metrics},
                              &replay.bridge) == 0)
        status = refill(&replay);
    bridge_free(replay.bridge);
    metrics_free(replay.metrics);
    return status;
}
