#include "replay/redis_connection.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "replay/redis_tls.h"

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
    struct redis_route route; /* all NULL: this is the connection to a server */
    int fd;
    struct redis_tls *tls; /* NULL: none */
    int64_t timeout_ns;
    redisReader *reader;
    int64_t heard_ns;
    struct buffer output;
    size_t written; /* bytes at the front of output that were sent */
    struct command *first;
    struct command **last;
};

struct redis_connection *redis_connection_new(int fd, struct redis_tls *tls, int timeout_ms)
{
    struct redis_connection *connection = calloc(1, sizeof *connection);

    if (!connection) {
        redis_tls_free(tls);
        close(fd);
        return NULL;
    }
    connection->tls = tls;
    connection->fd = fd;
    connection->timeout_ns = (int64_t)timeout_ms * 1000000;
    connection->heard_ns = clock_monotonic_ns();
    connection->output = buffer_make(OUTPUT_MAX_BYTES);
    connection->last = &connection->first;
    connection->reader = redisReaderCreate();
    if (!connection->reader) {
        redis_connection_free(connection);
        return NULL;
    }
    return connection;
}

struct redis_connection *redis_connection_new_routed(const struct redis_route *route)
{
    struct redis_connection *connection = calloc(1, sizeof *connection);

    if (!connection)
        return NULL;
    connection->route = *route;
    connection->fd = -1;
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
    if (connection->reader)
        redisReaderFree(connection->reader);
    buffer_release(&connection->output);
    redis_tls_free(connection->tls);
    if (connection->fd >= 0)
        close(connection->fd);
    free(connection);
}

/* `*3\r\n` or `$17\r\n`: the parts that precede what is counted. */
static void append_count(struct buffer *output, char kind, size_t count)
{
    char text[24];
    size_t at = sizeof text;

    text[--at] = '\n';
    text[--at] = '\r';
    do {
        text[--at] = (char)('0' + count % 10);
        count /= 10;
    } while (count > 0);
    text[--at] = kind;
    buffer_append(output, text + at, sizeof text - at);
}

/* Writes the command behind the others, or leaves them as they were and returns -ENOBUFS. */
static int append_command(struct buffer *output, int count, const char *const *arguments, const size_t *sizes)
{
    size_t before = output->size;

    append_count(output, '*', (size_t)count);
    for (int i = 0; i < count; i++) {
        append_count(output, '$', sizes[i]);
        buffer_append(output, arguments[i], sizes[i]);
        buffer_append(output, "\r\n", 2);
    }
    if (!output->failed)
        return 0;
    output->failed = false;
    output->size = before;
    return -ENOBUFS;
}

int redis_connection_command(struct redis_connection *connection, int count, const char *const *arguments,
                             const size_t *sizes, redis_reply_done done, void *context)
{
    struct command *command;
    int status;

    if (connection->route.command)
        return connection->route.command(connection->route.context, count, arguments, sizes, done, context);
    command = malloc(sizeof *command);
    if (!command)
        return -ENOMEM;
    status = append_command(&connection->output, count, arguments, sizes);
    if (status < 0) {
        free(command);
        return status;
    }
    *command = (struct command){.done = done, .context = context, .sent_ns = clock_monotonic_ns()};
    *connection->last = command;
    connection->last = &command->next;
    return 0;
}

struct redis_connection *redis_connection_of_key(struct redis_connection *connection, const char *key)
{
    return connection->route.of_key ? connection->route.of_key(connection->route.context, key) : connection;
}

int redis_connection_fd(const struct redis_connection *connection)
{
    return connection->fd;
}

static bool has_output(const struct redis_connection *connection)
{
    return connection->written < connection->output.size;
}

bool redis_connection_wants_write(const struct redis_connection *connection)
{
    if (!connection->tls)
        return has_output(connection);
    /* TLS may have to write for a read, and to read before it writes on. */
    return redis_tls_wants_write(connection->tls) ||
           (has_output(connection) && !redis_tls_write_waits(connection->tls));
}

bool redis_connection_is_waiting(const struct redis_connection *connection)
{
    return connection->first != NULL;
}

int64_t redis_connection_deadline_ns(const struct redis_connection *connection)
{
    return connection->first ? connection->first->sent_ns + connection->timeout_ns : INT64_MAX;
}

int64_t redis_connection_heard_ns(const struct redis_connection *connection)
{
    return connection->heard_ns;
}

/* As many bytes as the socket takes, or -errno. */
static ssize_t write_some(struct redis_connection *connection, const char *bytes, size_t size)
{
    ssize_t sent;

    if (connection->tls)
        return redis_tls_write(connection->tls, bytes, size);
    sent = send(connection->fd, bytes, size, MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

/* As many bytes as there are, 0 at the end, or -errno. */
static ssize_t read_some(struct redis_connection *connection, char *ret_bytes, size_t size)
{
    ssize_t received;

    if (connection->tls)
        return redis_tls_read(connection->tls, ret_bytes, size);
    received = recv(connection->fd, ret_bytes, size, 0);
    return received < 0 ? -errno : received;
}

static int flush(struct redis_connection *connection)
{
    while (has_output(connection)) {
        ssize_t sent = write_some(connection, connection->output.data + connection->written,
                                  connection->output.size - connection->written);

        if (sent < 0)
            return sent == -EAGAIN || sent == -EINTR ? 0 : (int)sent;
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
        ssize_t received = read_some(connection, bytes, sizeof bytes);
        int status;

        if (received == 0)
            return -ECONNRESET;
        if (received < 0)
            return received == -EAGAIN || received == -EINTR ? 0 : (int)received;
        connection->heard_ns = clock_monotonic_ns();
        if (redisReaderFeed(connection->reader, bytes, (size_t)received) != REDIS_OK)
            return -EPROTO;
        status = handle_replies(connection);
        if (status < 0)
            return status;
        /* TLS gives one record at a time, which is smaller; whole ones that it has not read stay in the socket. */
        if (!connection->tls && (size_t)received < sizeof bytes)
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

const char *redis_connection_error(const struct redis_connection *connection)
{
    return connection->tls ? redis_tls_error(connection->tls) : "";
}
