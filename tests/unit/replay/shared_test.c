#include "replay/shared.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/replay/redis_server.h"
#include "tests/unit/replay/shared_suite.h"

static struct redis_server server;

static void open_in_memory(struct replica *ret_replicas[2])
{
    struct replica_options options = {.url = "", .timeout_ms = 10000};

    ret_replicas[0] = replica_new(&options);
    ret_replicas[1] = ret_replicas[0];
}

static void open_in_redis(struct replica *ret_replicas[2])
{
    char url[64];
    struct replica_options options = {.url = url, .timeout_ms = 10000};

    snprintf(url, sizeof url, "redis://127.0.0.1:%d", server.port);
    redis_server_tell(&server, REDIS_COMMAND("FLUSHALL"));
    ret_replicas[0] = replica_new(&options);
    ret_replicas[1] = replica_new(&options);
}

int main(void)
{
    struct shared_suite in_memory = {.open = open_in_memory};
    struct shared_suite in_redis = {.open = open_in_redis};
    int failed = shared_suite_run("in memory", &in_memory);

    redis_server_start(&server);
    failed += shared_suite_run("in Redis", &in_redis);
    redis_server_kill(&server);
    return failed;
}
