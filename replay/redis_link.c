#include "replay/redis_link.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/config_secret.h"
#include "replay/redis_cluster.h"
#include "replay/redis_finder.h"
#include "replay/redis_line.h"
#include "replay/redis_sentinel.h"
#include "replay/redis_url.h"

#define NS_PER_MS INT64_C(1000000)

enum {
    BACKOFF_FIRST_MS = 100,
    BACKOFF_MAX_MS = 2000,
};

enum phase { PHASE_WAITING, PHASE_FINDING, PHASE_LOGIN, PHASE_READY };

struct redis_link {
    struct redis_link_options options; /* but for its url and passwords */
    struct redis_url url;
    char *sentinel_password; /* NULL: none */
    enum phase phase;
    struct redis_finder *finder;  /* while finding */
    size_t first_asked;           /* of the URL's Sentinels: who answered last */
    struct redis_endpoint master; /* as it was found */
    struct redis_line *line;      /* but for a cluster */
    struct redis_cluster *cluster;
    int64_t up_ns; /* since when it is ready */
    int64_t retry_ns;
    int backoff_ms;
    unsigned jitter_seed;
    char failure[REDIS_REASON_SIZE]; /* why the connection has to end; set in callbacks, acted on behind them */
};

/* Takes a text over that counts instead of the one that is there, unless it is empty. */
static int replace_text(char **text, const char *other)
{
    if (!other || !*other)
        return 0;
    free(*text);
    *text = strdup(other);
    return *text ? 0 : -ENOMEM;
}

static void release_texts(struct redis_link *link)
{
    redis_url_release(&link->url);
    if (link->sentinel_password)
        explicit_bzero(link->sentinel_password, strlen(link->sentinel_password));
    free(link->sentinel_password);
}

struct redis_link *redis_link_new(const struct redis_link_options *options)
{
    struct redis_link *link = calloc(1, sizeof *link);

    if (!link)
        return NULL;
    if (redis_url_parse(options->redis.url, &link->url) < 0) {
        free(link);
        return NULL;
    }
    if (replace_text(&link->url.password, options->redis.password) < 0 ||
        replace_text(&link->sentinel_password, options->redis.sentinel_password) < 0) {
        release_texts(link);
        free(link);
        return NULL;
    }
    link->options = *options;
    link->options.redis.url = NULL;
    link->options.redis.password = NULL;
    link->options.redis.sentinel_password = NULL;
    link->backoff_ms = BACKOFF_FIRST_MS;
    link->jitter_seed = (unsigned)clock_monotonic_ns();
    return link;
}

struct redis_connection *redis_link_connection(const struct redis_link *link)
{
    if (link->phase != PHASE_READY)
        return NULL;
    return link->cluster ? redis_cluster_connection(link->cluster) : redis_line_connection(link->line);
}

void redis_link_give_up(struct redis_link *link, const char *what, const char *detail)
{
    if (!link->failure[0])
        snprintf(link->failure, sizeof link->failure, "%s: %s", what, detail);
}

int redis_link_poll_fd(const struct redis_link *link, short *ret_events)
{
    *ret_events = POLLIN;
    if (link->finder)
        return redis_finder_poll_fd(link->finder, ret_events);
    if (link->cluster)
        return redis_cluster_poll_fd(link->cluster, ret_events);
    return link->line ? redis_line_poll_fd(link->line, ret_events) : -1;
}

int64_t redis_link_deadline_ns(const struct redis_link *link)
{
    if (link->phase == PHASE_WAITING)
        return link->retry_ns;
    if (link->finder)
        return redis_finder_deadline_ns(link->finder);
    if (link->cluster)
        return redis_cluster_deadline_ns(link->cluster);
    return redis_line_deadline_ns(link->line);
}

/* Ends what there is of a connection. Its commands are called back, and find none. */
static void end_connection(struct redis_link *link)
{
    struct redis_line *line = link->line;
    struct redis_cluster *cluster = link->cluster;

    link->phase = PHASE_WAITING;
    link->line = NULL;
    link->cluster = NULL;
    redis_line_free(line);
    redis_cluster_free(cluster);
    redis_finder_free(link->finder);
    link->finder = NULL;
}

/* Ends the connection, if there is one, and tries again later. */
static void lose(struct redis_link *link, const char *reason)
{
    /* One that was ready for a while starts anew; one that is given up at once, again and again, is tried less often. */
    if (link->phase == PHASE_READY && clock_monotonic_ns() - link->up_ns > BACKOFF_MAX_MS * NS_PER_MS)
        link->backoff_ms = BACKOFF_FIRST_MS;
    end_connection(link);
    link->retry_ns =
        clock_monotonic_ns() + (link->backoff_ms + rand_r(&link->jitter_seed) % link->backoff_ms) * NS_PER_MS;
    link->backoff_ms = link->backoff_ms * 2 < BACKOFF_MAX_MS ? link->backoff_ms * 2 : BACKOFF_MAX_MS;
    link->failure[0] = '\0';
    link->options.on_down(link->options.context, reason);
}

/* What the lines to all servers of the URL have in common. */
static struct redis_line_options common_line(const struct redis_link *link)
{
    return (struct redis_line_options){
        .secure = link->url.secure, .tls = link->options.redis.tls, .timeout_ms = link->options.redis.timeout_ms};
}

/* What the lines to those servers have in common that hold data. */
static struct redis_line_options data_line(const struct redis_link *link)
{
    struct redis_line_options line = common_line(link);

    line.user = link->url.user;
    line.password = link->url.password;
    line.database = REDIS_NO_DATABASE;
    return line;
}

static void start_line(struct redis_link *link, const struct redis_endpoint *server)
{
    struct redis_line_options line = data_line(link);

    line.server = *server;
    line.database = link->url.database;
    line.must_be_master = link->url.topology == REDIS_SENTINEL;
    link->line = redis_line_new(&line);
    link->phase = PHASE_LOGIN;
    if (!link->line)
        lose(link, "no memory or thread for a connection to Redis");
}

static void start_cluster(struct redis_link *link)
{
    struct redis_cluster_options cluster = {
        .servers = link->url.servers, .count = link->url.server_count, .line = data_line(link)};

    link->cluster = redis_cluster_new(&cluster);
    link->phase = PHASE_LOGIN;
    if (!link->cluster)
        lose(link, "no memory, descriptor or thread for connections to Redis");
}

static void write_question(void *context, struct redis_command *command)
{
    const struct redis_link *link = context;

    redis_sentinel_ask(link->url.master, command);
}

static int take_master(void *context, const struct redis_endpoint *server, const redisReply *reply,
                       char ret_reason[REDIS_REASON_SIZE])
{
    struct redis_link *link = context;

    (void)server;
    if (redis_sentinel_answer(reply, &link->master) == 0)
        return 0;
    snprintf(ret_reason, REDIS_REASON_SIZE, "this Sentinel knows no master of the name in REDIS_URL");
    return -ENOENT;
}

static void start_finder(struct redis_link *link)
{
    struct redis_finder_options finder = {
        .servers = link->url.servers,
        .count = link->url.server_count,
        .first = link->first_asked,
        .line = common_line(link),
        .write_question = write_question,
        .take_answer = take_master,
        .context = link,
    };

    finder.line.password = link->sentinel_password;
    finder.line.database = REDIS_NO_DATABASE;
    link->finder = redis_finder_new(&finder);
    link->phase = PHASE_FINDING;
    if (!link->finder)
        lose(link, "no memory or thread to ask the Sentinels");
}

static void start(struct redis_link *link)
{
    if (link->options.redis.password_file)
        config_secret_refresh(link->options.redis.password_file, &link->url.password);
    if (link->options.redis.sentinel_password_file)
        config_secret_refresh(link->options.redis.sentinel_password_file, &link->sentinel_password);
    if (link->url.topology == REDIS_ALONE)
        start_line(link, &link->url.servers[0]);
    else if (link->url.topology == REDIS_CLUSTER)
        start_cluster(link);
    else
        start_finder(link);
}

static void run_finder(struct redis_link *link)
{
    char reason[REDIS_REASON_SIZE];
    int status = redis_finder_run(link->finder, reason);

    if (status == -EINPROGRESS)
        return;
    if (status < 0) {
        redis_link_give_up(link, "no Sentinel names the master", reason);
        return;
    }
    link->first_asked = redis_finder_asked(link->finder);
    redis_finder_free(link->finder);
    link->finder = NULL;
    start_line(link, &link->master);
}

/* Runs the line, or the cluster. */
static void run_connection(struct redis_link *link)
{
    char reason[REDIS_REASON_SIZE];
    int status = link->cluster ? redis_cluster_run(link->cluster, reason) : redis_line_run(link->line, reason);
    bool is_up;

    if (status < 0) {
        if (!link->failure[0])
            memcpy(link->failure, reason, sizeof link->failure);
        return;
    }
    is_up = link->cluster ? redis_cluster_connection(link->cluster) : redis_line_connection(link->line);
    if (link->phase == PHASE_READY || link->failure[0] || !is_up)
        return;
    link->phase = PHASE_READY;
    link->up_ns = clock_monotonic_ns();
    link->options.on_up(link->options.context);
}

void redis_link_run(struct redis_link *link)
{
    if (link->phase == PHASE_WAITING && clock_monotonic_ns() >= link->retry_ns)
        start(link);
    if (link->phase == PHASE_FINDING)
        run_finder(link);
    else if (link->phase != PHASE_WAITING)
        run_connection(link);
    if (link->failure[0]) {
        char reason[sizeof link->failure];

        strcpy(reason, link->failure);
        lose(link, reason);
    }
}

void redis_link_free(struct redis_link *link)
{
    if (!link)
        return;
    end_connection(link);
    release_texts(link);
    free(link);
}
