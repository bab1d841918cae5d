#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "replay/redis_connection.h"
#include "replay/redis_link.h"
#include "replay/shared_redis.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/resp.h"

/* A link that is up at once and never dials, in the place of redis_link.c: what it is connected to is the input. */
struct redis_link {
    struct redis_link_options options;
    struct redis_connection *connection;
};

static int next_fd = -1;

struct redis_link *redis_link_new(const struct redis_link_options *options)
{
    struct redis_link *link = calloc(1, sizeof *link);

    MUST(link != NULL);
    link->options = *options;
    link->connection = redis_connection_new(next_fd, NULL, 1000);
    MUST(link->connection != NULL);
    return link;
}

struct redis_connection *redis_link_connection(const struct redis_link *link)
{
    return link->connection;
}

void redis_link_give_up(struct redis_link *link, const char *what, const char *detail)
{
    (void)link;
    MUST(*what && detail);
}

int redis_link_poll_fd(const struct redis_link *link, short *ret_events)
{
    *ret_events = POLLIN;
    return redis_connection_fd(link->connection);
}

int64_t redis_link_deadline_ns(const struct redis_link *link)
{
    return redis_connection_deadline_ns(link->connection);
}

void redis_link_run(struct redis_link *link)
{
    int status = redis_connection_run(link->connection);

    MUST(status == 0 || status == -EPROTO);
}

void redis_link_free(struct redis_link *link)
{
    redis_connection_free(link->connection);
    free(link);
}

/* The one request, and how often it was answered. */
static struct shared_request request;
static int answers;

/* In the place of shared.c's, which has threads and deadlines. */
void shared_request_finish(struct shared_request *finished, int status, const char *value, size_t value_size)
{
    bool is_take = finished->kind == SHARED_TICKET_TAKE;

    MUST(finished == &request);
    MUST(status == 0 || status == -EAGAIN ||
         (is_take && (status == -ENOENT || status == -EALREADY || status == -EPERM)) ||
         (finished->kind == SHARED_TICKET_PUT && status == -EEXIST) ||
         (finished->kind == SHARED_SLOTS_ENTER && status == -EDQUOT));
    MUST((status == 0 && is_take) == (value != NULL));
    MUST(!value || value[value_size] == '\0');
    answers++;
}

static void check_fields(void *context, const struct shared_field *fields, size_t count)
{
    (void)context;
    MUST(count == 0 || fields != NULL);
    for (size_t i = 0; i < count; i++) {
        MUST(memchr(fields[i].name, '\0', RESP_MAX_BYTES) != NULL);
        MUST(fields[i].value[fields[i].value_size] == '\0');
    }
}

static void check_revoked(void *context, const struct shared_revocation *revocations, size_t count)
{
    (void)context;
    for (size_t i = 0; i < count; i++) {
        MUST(revocations[i].subject <= SHARED_TOKEN && *revocations[i].value);
        MUST(revocations[i].until_ms >= 0 && revocations[i].until_ms <= SHARED_NUMBER_MAX);
    }
}

static void on_unreadable(void *context, const char *key, const char *reason)
{
    (void)context;
    MUST(strncmp(key, "sluice:", 7) == 0 && reason);
}

static void check_replicas(void *context, size_t count)
{
    (void)context;
    MUST(count <= RESP_MAX_BYTES);
}

static int64_t count_streams(void *context, const char *slots)
{
    (void)context;
    MUST(strcmp(slots, "n") == 0);
    return 2;
}

static void each_name(void *context, void (*visit)(void *visitor, const char *name), void *visitor)
{
    (void)context;
    visit(visitor, "n");
}

static char name[] = "n";
static char holder[] = "h";
static char fingerprint[] = "f";
static char value[] = "v";

static void run(enum shared_kind kind, const uint8_t *replies, size_t size)
{
    struct shared_options options = {
        .lease_ms = 1000,
        .replica = "r",
        .counts = {.count = count_streams, .each_name = each_name},
        .listener = {.on_revoked = check_revoked,
                     .on_features = check_fields,
                     .on_keys = check_fields,
                     .on_unreadable = on_unreadable,
                     .on_replicas = check_replicas},
    };
    struct shared_backend *backend;
    int ends[2];

    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    MUST(send(ends[1], replies, size, MSG_NOSIGNAL) == (ssize_t)size);
    next_fd = ends[0];
    answers = 0;
    request = (struct shared_request){.kind = kind,
                                      .number = 1,
                                      .rank = 1,
                                      .name = name,
                                      .holder = holder,
                                      .fingerprint = fingerprint,
                                      .value = value,
                                      .value_size = 1};
    backend = shared_redis_new(&options);
    MUST(backend != NULL);
    backend->perform(backend, &request);
    backend->run(backend);
    /* The counts that others are told. */
    backend->run(backend);
    MUST(answers <= 1);
    backend->free(backend);
    MUST(answers == 1);
    close(ends[1]);
}

/* The input: a digit for the request, the end of its line, and what Redis sends to it and to the watch behind it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size >= 3 && size <= RESP_MAX_BYTES && data[0] >= '0' && data[0] <= '5' && data[1] == '\n' &&
        !resp_promises_much(data + 2, size - 2))
        run((enum shared_kind)(data[0] - '0'), data + 2, size - 2);
    return 0;
}
