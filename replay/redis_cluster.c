#include "replay/redis_cluster.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "replay/redis_finder.h"
#include "replay/redis_flights.h"
#include "replay/redis_nodes.h"

#define NS_PER_MS INT64_C(1000000)

enum { REFRESH_INTERVAL_MS = 500 };

struct redis_cluster {
    struct redis_cluster_options options;
    struct redis_nodes *nodes;
    struct redis_flights *flights;
    struct redis_connection *connection; /* what commands are given to */
    struct redis_finder *finder;         /* while it asks who has which slot */
    struct redis_endpoint *asked;        /* whom it asks */
    struct redis_slot_map *map;          /* its answer */
    int64_t refresh_ns;                  /* when it may be asked again */
    bool is_up;
};

/* The map. */

static void write_question(void *context, struct redis_command *command)
{
    (void)context;
    redis_command_add(command, "CLUSTER");
    redis_command_add(command, "SLOTS");
}

static int take_answer(void *context, const struct redis_endpoint *server, const redisReply *reply,
                       char ret_reason[REDIS_REASON_SIZE])
{
    struct redis_cluster *cluster = context;
    int status = redis_slot_map_read(reply, server, cluster->map);

    if (status < 0)
        snprintf(ret_reason, REDIS_REASON_SIZE, "%s",
                 status == -ENOENT ? "some slots have no node" : "it does not say which node has which slot");
    return status;
}

static void end_finder(struct redis_cluster *cluster)
{
    redis_finder_free(cluster->finder);
    cluster->finder = NULL;
    free(cluster->asked);
    cluster->asked = NULL;
}

/* Asks the nodes that are known, then those of the settings. */
static int start_finder(struct redis_cluster *cluster)
{
    size_t known = redis_nodes_count(cluster->nodes);
    struct redis_finder_options finder = {
        .count = known + cluster->options.count,
        .line = cluster->options.line,
        .write_question = write_question,
        .take_answer = take_answer,
        .context = cluster,
    };

    cluster->asked = calloc(finder.count, sizeof *cluster->asked);
    if (!cluster->asked)
        return -ENOMEM;
    for (size_t i = 0; i < known; i++)
        cluster->asked[i] = *redis_nodes_server(cluster->nodes, (int)i);
    memcpy(cluster->asked + known, cluster->options.servers, cluster->options.count * sizeof *cluster->asked);
    finder.servers = cluster->asked;
    cluster->finder = redis_finder_new(&finder);
    if (cluster->finder)
        return 0;
    end_finder(cluster);
    return -ENOMEM;
}

struct redis_cluster *redis_cluster_new(const struct redis_cluster_options *options)
{
    struct redis_cluster *cluster = calloc(1, sizeof *cluster);
    struct redis_route route;

    if (!cluster)
        return NULL;
    cluster->options = *options;
    cluster->map = malloc(sizeof *cluster->map);
    cluster->nodes = redis_nodes_new(&options->line);
    if (cluster->nodes)
        cluster->flights = redis_flights_new(cluster->nodes, options->line.timeout_ms);
    if (cluster->flights) {
        route = redis_flights_route(cluster->flights);
        cluster->connection = redis_connection_new_routed(&route);
    }
    if (cluster->map && cluster->connection && start_finder(cluster) == 0)
        return cluster;
    redis_cluster_free(cluster);
    return NULL;
}

struct redis_connection *redis_cluster_connection(const struct redis_cluster *cluster)
{
    return cluster->is_up ? cluster->connection : NULL;
}

int redis_cluster_poll_fd(struct redis_cluster *cluster, short *ret_events)
{
    short wanted = 0;
    int fd = cluster->finder ? redis_finder_poll_fd(cluster->finder, &wanted) : -1;

    *ret_events = POLLIN;
    return redis_nodes_poll_fd(cluster->nodes, fd, wanted);
}

static int64_t earlier(int64_t a_ns, int64_t b_ns)
{
    return a_ns < b_ns ? a_ns : b_ns;
}

int64_t redis_cluster_deadline_ns(const struct redis_cluster *cluster)
{
    int64_t deadline_ns = earlier(redis_nodes_deadline_ns(cluster->nodes), redis_flights_deadline_ns(cluster->flights));

    if (cluster->finder)
        return earlier(deadline_ns, redis_finder_deadline_ns(cluster->finder));
    return redis_flights_were_moved(cluster->flights) ? earlier(deadline_ns, cluster->refresh_ns) : deadline_ns;
}

/* Takes the map over. Without one there is no cluster; with one, another attempt follows. */
static int run_finder(struct redis_cluster *cluster, char ret_reason[REDIS_REASON_SIZE])
{
    char reason[REDIS_REASON_SIZE];
    int status = redis_finder_run(cluster->finder, reason);

    if (status == -EINPROGRESS)
        return 0;
    end_finder(cluster);
    cluster->refresh_ns = clock_monotonic_ns() + REFRESH_INTERVAL_MS * NS_PER_MS;
    if (status == 0)
        status = redis_nodes_take_map(cluster->nodes, cluster->map);
    else if (cluster->is_up)
        return 0;
    if (status == 0) {
        redis_flights_forget_moves(cluster->flights);
        return 0;
    }
    snprintf(ret_reason, REDIS_REASON_SIZE, "the nodes of the cluster cannot be found out: %.200s",
             status == -EHOSTUNREACH ? reason : strerror(-status));
    return -ENOTCONN;
}

int redis_cluster_run(struct redis_cluster *cluster, char ret_reason[REDIS_REASON_SIZE])
{
    int status = 0;

    if (!cluster->finder && redis_flights_were_moved(cluster->flights) && clock_monotonic_ns() >= cluster->refresh_ns &&
        start_finder(cluster) < 0)
        cluster->refresh_ns = clock_monotonic_ns() + REFRESH_INTERVAL_MS * NS_PER_MS;
    if (cluster->finder)
        status = run_finder(cluster, ret_reason);
    if (status == 0)
        status = redis_nodes_run(cluster->nodes, ret_reason);
    if (status == 0)
        status = redis_flights_run(cluster->flights, ret_reason);
    if (status == 0 && !cluster->is_up)
        cluster->is_up = redis_nodes_are_up(cluster->nodes);
    return status;
}

void redis_cluster_free(struct redis_cluster *cluster)
{
    if (!cluster)
        return;
    cluster->is_up = false;
    end_finder(cluster);
    redis_nodes_free(cluster->nodes);
    redis_flights_free(cluster->flights);
    redis_connection_free(cluster->connection);
    free(cluster->map);
    free(cluster);
}
