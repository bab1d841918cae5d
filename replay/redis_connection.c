#include "replay/redis_connection.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/buffer.h"
#include "core/clock.h"

enum {
    OUTPUT_MAX_BYTES = 128 * 1024 * 1024,
    READ_SIZE = 64 * 1024,
    READS_PER_RUN = 16,
};

struct command {
    struct command *next;
    redis_reply_done done;
    void *context;
    int64_t sent_ns;
};

struct redis_connection {
    int fd;
    int64_t timeout_ns;
    redisReader *reader;
    struct buffer output;
    size_t written; /* bytes at the front of output that were sent */
    struct command *first;
    struct command **last;
};

struct redis_connection *redis_connection_new(int fd, int timeout_ms)
{
    struct redis_connection *connection = calloc(1, sizeof *connection);

    if (!connection)
        return NULL;
    connection->fd = fd;
    connection->timeout_ns = (int64_t)timeout_ms * 1000000;
    connection->output = buffer_make(OUTPUT_MAX_BYTES);
    connection->last = &connection->first;
    connection->reader = redisReaderCreate();
    if (!connection->reader) {
        free(connection);
        return NULL;
    }
    return connection;
}

static void finish_first(struct redis_connection *connection, const redisReply *reply)
{
    struct command *command = connection->first;

    connection->first = command->next;
    if (!connection->first)
        connection->last = &connection->first;
    command->done(command->context, reply);
    free(command);
}

void redis_connection_free(struct redis_connection *connection)
{
    if (!connection)
        return;
    while (connection->first)
        finish_first(connection, NULL);
    redisReaderFree(connection->reader);
    buffer_release(&connection->output);
    close(connection->fd);
    free(connection);
}

int redis_connection_command(struct redis_connection *connection, int count, const char *const *arguments,
                             const size_t *sizes, redis_reply_done done, void *context)
{
    struct command *command = malloc(sizeof *command);
    char *text = NULL;
    long long size;

    if (!command)
        return -ENOMEM;
    size = redisFormatCommandArgv(&text, count, (const char **)(uintptr_t)arguments, sizes);
    if (size < 0) {
        free(command);
        return -ENOMEM;
    }
    buffer_append(&connection->output, text, (size_t)size);
    redisFreeCommand(text);
    if (connection->output.failed) {
        connection->output.failed = false;
        free(command);
        return -ENOBUFS;
    }
    *command = (struct command){.done = done, .context = context, .sent_ns = clock_monotonic_ns()};
    *connection->last = command;
    connection->last = &command->next;
    return 0;
}

int redis_connection_fd(const struct redis_connection *connection)
{
    return connection->fd;
}

bool redis_connection_wants_write(const struct redis_connection *connection)
{
    return connection->written < connection->output.size;
}

bool redis_connection_is_waiting(const struct redis_connection *connection)
{
    return connection->first != NULL;
}

int64_t redis_connection_deadline_ns(const struct redis_connection *connection)
{
    return connection->first ? connection->first->sent_ns + connection->timeout_ns : INT64_MAX;
}

static int flush(struct redis_connection *connection)
{
    while (redis_connection_wants_write(connection)) {
        ssize_t sent = send(connection->fd, connection->output.data + connection->written,
                            connection->output.size - connection->written, MSG_NOSIGNAL);

        if (sent < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        connection->written += (size_t)sent;
    }
    connection->written = 0;
    buffer_clear(&connection->output);
    return 0;
}

static int handle_replies(struct redis_connection *connection)
{
    for (;;) {
        void *reply = NULL;

        if (redisReaderGetReply(connection->reader, &reply) != REDIS_OK)
            return -EPROTO;
        if (!reply)
            return 0;
        if (!connection->first) {
            freeReplyObject(reply);
            return -EPROTO;
        }
        finish_first(connection, reply);
        freeReplyObject(reply);
        /* Time that we took for the replies so far is not Redis's. */
        if (connection->first && connection->first->sent_ns < clock_monotonic_ns() - connection->timeout_ns / 2)
            connection->first->sent_ns = clock_monotonic_ns();
    }
}

static int receive(struct redis_connection *connection)
{
    char bytes[READ_SIZE];

    for (int i = 0; i < READS_PER_RUN; i++) {
        ssize_t received = recv(connection->fd, bytes, sizeof bytes, 0);
        int status;

        if (received == 0)
            return -ECONNRESET;
        if (received < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        if (redisReaderFeed(connection->reader, bytes, (size_t)received) != REDIS_OK)
            return -EPROTO;
        status = handle_replies(connection);
        if (status < 0)
            return status;
        if ((size_t)received < sizeof bytes)
            return 0;
    }
    return 0;
}

int redis_connection_run(struct redis_connection *connection)
{
    int status = receive(connection);

    if (status == 0)
        status = flush(connection);
    if (status == 0 && clock_monotonic_ns() > redis_connection_deadline_ns(connection))
        status = -ETIMEDOUT;
    return status;
}
