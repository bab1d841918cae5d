#include "replay/redis_line.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "replay/redis_command.h"
#include "replay/redis_connection.h"
#include "replay/redis_dial.h"
#include "replay/redis_redirect.h"
#include "replay/redis_reply.h"

#define NS_PER_MS INT64_C(1000000)

enum { PING_INTERVAL_MS = 1000 };

struct redis_line {
    struct redis_line_options options;
    struct redis_dial *dial; /* NULL: it is over */
    struct redis_connection *connection;
    int login_steps; /* commands of the login that wait for their answers */
    bool is_up;
    char failure[REDIS_REASON_SIZE]; /* why the line has to end; set in callbacks, acted on behind them */
};

struct redis_line *redis_line_new(const struct redis_line_options *options)
{
    struct redis_line *line = calloc(1, sizeof *line);

    if (!line)
        return NULL;
    line->options = *options;
    line->options.tls.host = line->options.server.host;
    line->dial = redis_dial_new(&line->options.server, options->timeout_ms);
    if (line->dial)
        return line;
    free(line);
    return NULL;
}

struct redis_connection *redis_line_connection(const struct redis_line *line)
{
    return line->is_up ? line->connection : NULL;
}

const struct redis_endpoint *redis_line_server(const struct redis_line *line)
{
    return &line->options.server;
}

void redis_line_give_up(struct redis_line *line, const char *what, const char *detail)
{
    if (!line->failure[0])
        snprintf(line->failure, sizeof line->failure, "%s: %s", what, detail);
}

int redis_line_poll_fd(const struct redis_line *line, short *ret_events)
{
    *ret_events = POLLIN;
    if (line->dial)
        return redis_dial_fd(line->dial);
    if (!line->connection)
        return -1;
    if (redis_connection_wants_write(line->connection))
        *ret_events = POLLIN | POLLOUT;
    return redis_connection_fd(line->connection);
}

/* When it was quiet for so long that it is asked. */
static int64_t ping_due_ns(const struct redis_line *line)
{
    return redis_connection_heard_ns(line->connection) + PING_INTERVAL_MS * NS_PER_MS;
}

int64_t redis_line_deadline_ns(const struct redis_line *line)
{
    if (line->failure[0])
        return 0;
    if (line->is_up && !redis_connection_is_waiting(line->connection))
        return ping_due_ns(line);
    return line->connection ? redis_connection_deadline_ns(line->connection) : INT64_MAX;
}

/* One step of the login is over; without a failure its last one is the end of the login. */
static void end_step(struct redis_line *line)
{
    if (--line->login_steps == 0 && !line->failure[0])
        line->is_up = true;
}

static void on_step(void *context, const redisReply *reply)
{
    struct redis_line *line = context;

    if (!reply)
        return;
    /* Redis repeats the arguments of a command that it does not know: of a refused login only the code is told. */
    if (reply->type == REDIS_REPLY_ERROR) {
        char detail[128];

        snprintf(detail, sizeof detail, "%.*s; compare the user in REDIS_URL and REDIS_PASSWORD with Redis's users",
                 (int)strcspn(reply->str, " "), reply->str);
        redis_line_give_up(line, "Redis refused the login", detail);
    }
    end_step(line);
}

static void on_selected(void *context, const redisReply *reply)
{
    static const char wrong[] = "ERR ";

    if (reply && reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, wrong, strlen(wrong)) == 0)
        redis_line_give_up(context, "Redis refused the database in REDIS_URL", reply->str);
    on_step(context, reply);
}

static void on_role(void *context, const redisReply *reply)
{
    const redisReply *role = redis_reply_element(reply, 0);
    struct redis_line *line = context;

    if (reply && reply->type != REDIS_REPLY_ERROR &&
        !(role && role->type == REDIS_REPLY_STRING && strcmp(role->str, "master") == 0))
        redis_line_give_up(line, "Redis is not the master that it was said to be",
                           role && role->type == REDIS_REPLY_STRING ? role->str : "it does not say what it is");
    on_step(line, reply);
}

static void on_probed(void *context, const redisReply *reply)
{
    struct redis_line *line = context;

    if (!reply)
        return;
    /* Where the slot is on its way to another node, it takes writes for others. */
    if (reply->type == REDIS_REPLY_ERROR &&
        redis_redirect_read(reply->str, &line->options.server).kind == REDIS_NO_REDIRECT)
        redis_line_give_up(line, "Redis refused a write", reply->str);
    end_step(line);
}

static int send_step(struct redis_line *line, struct redis_command *command, redis_reply_done done)
{
    int status = redis_command_send(command, line->connection, done, line);

    if (status == 0)
        line->login_steps++;
    return status;
}

static int send_auth(struct redis_line *line)
{
    const struct redis_line_options *options = &line->options;
    struct redis_command command = redis_command_make();

    redis_command_add(&command, "AUTH");
    if (options->user && *options->user)
        redis_command_add_bytes(&command, options->user, strlen(options->user));
    redis_command_add_bytes(&command, options->password, strlen(options->password));
    return send_step(line, &command, on_step);
}

static int send_select(struct redis_line *line)
{
    struct redis_command command = redis_command_make();

    redis_command_add(&command, "SELECT");
    redis_command_add(&command, "%d", line->options.database);
    return send_step(line, &command, on_selected);
}

static int send_role(struct redis_line *line)
{
    struct redis_command command = redis_command_make();

    redis_command_add(&command, "ROLE");
    return send_step(line, &command, on_role);
}

/* Changes nothing, and is refused where writes are. */
static int send_probe(struct redis_line *line)
{
    struct redis_command command = redis_command_make();

    redis_command_add(&command, "SET");
    redis_command_add(&command, "%s", line->options.probe);
    redis_command_add(&command, "0");
    redis_command_add(&command, "XX");
    return send_step(line, &command, on_probed);
}

static int send_login(struct redis_line *line)
{
    int status = 0;

    if (line->options.password)
        status = send_auth(line);
    if (status == 0 && line->options.database != REDIS_NO_DATABASE)
        status = send_select(line);
    if (status == 0 && line->options.must_be_master)
        status = send_role(line);
    if (status == 0 && line->options.probe[0])
        status = send_probe(line);
    if (status == 0 && line->login_steps == 0)
        line->is_up = true;
    return status;
}

/* Takes the socket over, or fails. */
static void make_connection(struct redis_line *line, int fd)
{
    bool secure = line->options.secure;
    char error[REDIS_TLS_ERROR_SIZE];
    struct redis_tls *tls = secure ? redis_tls_new(fd, &line->options.tls, error) : NULL;

    if (secure && !tls) {
        close(fd);
        redis_line_give_up(line, "TLS to Redis cannot begin", error);
        return;
    }
    line->connection = redis_connection_new(fd, tls, line->options.timeout_ms);
    if (!line->connection || send_login(line) < 0)
        redis_line_give_up(line, "the connection to Redis cannot begin", "no memory");
}

static void finish_dial(struct redis_line *line)
{
    int result = redis_dial_result(line->dial);

    if (result == -EINPROGRESS)
        return;
    redis_dial_free(line->dial);
    line->dial = NULL;
    if (result < 0)
        snprintf(line->failure, sizeof line->failure, "%s", strerror(-result));
    else
        make_connection(line, result);
}

static void on_pong(void *context, const redisReply *reply)
{
    if (reply && reply->type == REDIS_REPLY_ERROR)
        redis_line_give_up(context, "Redis refused a PING", reply->str);
}

static void ping_when_quiet(struct redis_line *line)
{
    struct redis_command command = redis_command_make();

    if (!line->is_up || redis_connection_is_waiting(line->connection) || clock_monotonic_ns() < ping_due_ns(line))
        return;
    redis_command_add(&command, "PING");
    if (redis_command_send(&command, line->connection, on_pong, line) < 0)
        redis_line_give_up(line, "Redis cannot be asked whether it is there", "no memory");
}

/* Why the connection ended, and what to do about it. */
static void give_up_ended(struct redis_line *line, int status)
{
    const char *detail = redis_connection_error(line->connection);

    if (status == -EPROTO && *detail)
        redis_line_give_up(line, "compare REDIS_TLS_CA_FILE and the host in REDIS_URL with Redis's certificate",
                           detail);
    else
        redis_line_give_up(line, "the connection to Redis ended",
                           status == -ETIMEDOUT ? "no answer in time" : strerror(-status));
}

int redis_line_run(struct redis_line *line, char ret_reason[REDIS_REASON_SIZE])
{
    if (line->dial)
        finish_dial(line);
    if (line->connection && !line->failure[0]) {
        int status;

        ping_when_quiet(line);
        status = redis_connection_run(line->connection);
        if (status < 0)
            give_up_ended(line, status);
    }
    if (!line->failure[0])
        return 0;
    memcpy(ret_reason, line->failure, sizeof line->failure);
    return -ENOTCONN;
}

void redis_line_free(struct redis_line *line)
{
    if (!line)
        return;
    line->is_up = false;
    redis_connection_free(line->connection);
    redis_dial_free(line->dial);
    free(line);
}
