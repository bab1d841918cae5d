#include "replay/redis_link.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/config_secret.h"
#include "replay/redis_command.h"
#include "replay/redis_connection.h"
#include "replay/redis_dial.h"
#include "replay/redis_url.h"

#define NS_PER_MS INT64_C(1000000)

enum {
    BACKOFF_FIRST_MS = 100,
    BACKOFF_MAX_MS = 2000,
    PING_INTERVAL_MS = 1000,
};

enum phase { PHASE_WAITING, PHASE_DIALING, PHASE_LOGIN, PHASE_READY };

struct redis_link {
    struct redis_link_options options; /* but for its url and password */
    struct redis_url url;
    struct redis_connection *connection;
    enum phase phase;
    struct redis_dial *dial;
    int64_t up_ns; /* since when it is ready */
    int64_t retry_ns;
    int backoff_ms;
    int64_t next_ping_ns;
    unsigned jitter_seed;
    char failure[256]; /* why the connection has to end; set in callbacks, acted on behind them */
};

struct redis_link *redis_link_new(const struct redis_link_options *options)
{
    struct redis_link *link = calloc(1, sizeof *link);

    if (!link)
        return NULL;
    if (redis_url_parse(options->redis.url, &link->url) < 0) {
        free(link);
        return NULL;
    }
    if (options->redis.password && *options->redis.password) {
        free(link->url.password);
        link->url.password = strdup(options->redis.password);
        if (!link->url.password) {
            redis_url_release(&link->url);
            free(link);
            return NULL;
        }
    }
    link->options = *options;
    link->options.redis.url = NULL;
    link->options.redis.password = NULL;
    link->options.redis.tls.host = link->url.host;
    link->backoff_ms = BACKOFF_FIRST_MS;
    link->jitter_seed = (unsigned)clock_monotonic_ns();
    return link;
}

struct redis_connection *redis_link_connection(const struct redis_link *link)
{
    return link->phase == PHASE_READY ? link->connection : NULL;
}

void redis_link_give_up(struct redis_link *link, const char *what, const char *detail)
{
    if (!link->failure[0])
        snprintf(link->failure, sizeof link->failure, "%s: %s", what, detail);
}

int redis_link_poll_fd(const struct redis_link *link, short *ret_events)
{
    *ret_events = POLLIN;
    if (link->dial)
        return redis_dial_fd(link->dial);
    if (!link->connection)
        return -1;
    if (redis_connection_wants_write(link->connection))
        *ret_events = POLLIN | POLLOUT;
    return redis_connection_fd(link->connection);
}

int64_t redis_link_deadline_ns(const struct redis_link *link)
{
    if (link->phase == PHASE_WAITING)
        return link->retry_ns;
    if (link->phase == PHASE_READY && !redis_connection_is_waiting(link->connection))
        return link->next_ping_ns;
    return link->connection ? redis_connection_deadline_ns(link->connection) : INT64_MAX;
}

/* Ends the connection, if there is one, and tries again later. */
static void lose(struct redis_link *link, const char *reason)
{
    struct redis_connection *connection = link->connection;

    /* One that was ready for a while starts anew; one that is given up at once, again and again, is tried less often. */
    if (link->phase == PHASE_READY && clock_monotonic_ns() - link->up_ns > BACKOFF_MAX_MS * NS_PER_MS)
        link->backoff_ms = BACKOFF_FIRST_MS;
    link->phase = PHASE_WAITING;
    link->connection = NULL;
    redis_connection_free(connection);
    redis_dial_free(link->dial);
    link->dial = NULL;
    link->retry_ns =
        clock_monotonic_ns() + (link->backoff_ms + rand_r(&link->jitter_seed) % link->backoff_ms) * NS_PER_MS;
    link->backoff_ms = link->backoff_ms * 2 < BACKOFF_MAX_MS ? link->backoff_ms * 2 : BACKOFF_MAX_MS;
    link->failure[0] = '\0';
    link->options.on_down(link->options.context, reason);
}

/* Looks for an error in the reply of a step. Returns whether the link goes on. */
static bool step_succeeded(struct redis_link *link, const redisReply *reply)
{
    if (!reply)
        return false;
    /* Redis repeats the arguments of a command that it does not know: of a refused login only the code is told. */
    if (reply->type == REDIS_REPLY_ERROR) {
        char detail[128];

        snprintf(detail, sizeof detail, "%.*s; compare the user in REDIS_URL and REDIS_PASSWORD with Redis's users",
                 (int)strcspn(reply->str, " "), reply->str);
        redis_link_give_up(link, "Redis refused the login", detail);
    }
    return reply->type != REDIS_REPLY_ERROR && !link->failure[0];
}

static void on_login(void *context, const redisReply *reply)
{
    (void)step_succeeded(context, reply);
}

/* The last step of the login. */
static void on_selected(void *context, const redisReply *reply)
{
    struct redis_link *link = context;

    if (!step_succeeded(link, reply))
        return;
    link->phase = PHASE_READY;
    link->up_ns = clock_monotonic_ns();
    link->next_ping_ns = link->up_ns + PING_INTERVAL_MS * NS_PER_MS;
    link->options.on_up(link->options.context);
}

static int send_login(struct redis_link *link)
{
    struct redis_command login = redis_command_make();
    struct redis_command database = redis_command_make();
    int status = 0;

    if (link->url.password) {
        redis_command_add(&login, "AUTH");
        if (link->url.user && *link->url.user)
            redis_command_add_bytes(&login, link->url.user, strlen(link->url.user));
        redis_command_add_bytes(&login, link->url.password, strlen(link->url.password));
        status = redis_command_send(&login, link->connection, on_login, link);
    }
    if (status < 0)
        return status;
    redis_command_add(&database, "SELECT");
    redis_command_add(&database, "%d", link->url.database);
    return redis_command_send(&database, link->connection, on_selected, link);
}

static void start_dial(struct redis_link *link)
{
    if (link->options.redis.password_file)
        config_secret_refresh(link->options.redis.password_file, &link->url.password);
    link->dial = redis_dial_new(&link->url, link->options.redis.timeout_ms);
    link->phase = PHASE_DIALING;
    if (!link->dial)
        lose(link, "no memory or thread for a connection to Redis");
}

/* Takes the socket over. False: there is no connection, and why was told. */
static bool make_connection(struct redis_link *link, int fd)
{
    char reason[sizeof link->failure];
    char error[REDIS_TLS_ERROR_SIZE];
    struct redis_tls *tls = link->url.secure ? redis_tls_new(fd, &link->options.redis.tls, error) : NULL;

    if (link->url.secure && !tls) {
        close(fd);
        snprintf(reason, sizeof reason, "TLS to Redis cannot begin: %s", error);
        lose(link, reason);
        return false;
    }
    link->connection = redis_connection_new(fd, tls, link->options.redis.timeout_ms);
    if (!link->connection)
        lose(link, "no memory for a connection to Redis");
    return link->connection != NULL;
}

static void finish_dial(struct redis_link *link)
{
    int result = redis_dial_result(link->dial);

    if (result == -EINPROGRESS)
        return;
    redis_dial_free(link->dial);
    link->dial = NULL;
    if (result < 0) {
        lose(link, strerror(-result));
        return;
    }
    if (!make_connection(link, result))
        return;
    link->phase = PHASE_LOGIN;
    if (send_login(link) < 0)
        lose(link, "no memory for a connection to Redis");
}

static void on_pong(void *context, const redisReply *reply)
{
    struct redis_link *link = context;

    if (reply && reply->type == REDIS_REPLY_ERROR)
        redis_link_give_up(link, "Redis refused a PING", reply->str);
}

static void ping_when_quiet(struct redis_link *link)
{
    struct redis_command command = redis_command_make();

    if (link->phase != PHASE_READY || redis_connection_is_waiting(link->connection) ||
        clock_monotonic_ns() < link->next_ping_ns)
        return;
    link->next_ping_ns = clock_monotonic_ns() + PING_INTERVAL_MS * NS_PER_MS;
    redis_command_add(&command, "PING");
    (void)redis_command_send(&command, link->connection, on_pong, link);
}

/* Why the connection ended, and what to do about it. */
static void give_up_ended(struct redis_link *link, int status)
{
    const char *detail = redis_connection_error(link->connection);

    if (status == -EPROTO && *detail)
        redis_link_give_up(link, "compare REDIS_TLS_CA_FILE and the host in REDIS_URL with Redis's certificate",
                           detail);
    else
        redis_link_give_up(link, "the connection to Redis ended",
                           status == -ETIMEDOUT ? "no answer in time" : strerror(-status));
}

void redis_link_run(struct redis_link *link)
{
    int status;

    if (link->phase == PHASE_WAITING && clock_monotonic_ns() >= link->retry_ns)
        start_dial(link);
    if (link->phase == PHASE_DIALING)
        finish_dial(link);
    if (!link->connection)
        return;
    ping_when_quiet(link);
    status = redis_connection_run(link->connection);
    if (status < 0)
        give_up_ended(link, status);
    if (link->failure[0]) {
        char reason[sizeof link->failure];

        strcpy(reason, link->failure);
        lose(link, reason);
    }
}

void redis_link_free(struct redis_link *link)
{
    struct redis_connection *connection;

    if (!link)
        return;
    connection = link->connection;
    link->phase = PHASE_WAITING;
    link->connection = NULL;
    redis_connection_free(connection);
    redis_dial_free(link->dial);
    redis_url_release(&link->url);
    free(link);
}
