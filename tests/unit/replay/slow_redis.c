#include "tests/unit/replay/slow_redis.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"

enum { BUFFER_SIZE = 1024 * 1024 };

/* One connection through the relay. */
struct relay {
    int client;
    int server;
    size_t used;    /* bytes of commands that wait */
    int64_t due_ns; /* when the first of them goes on; 0: none is whole */
    char *buffer;
};

/* The number behind `kind` at *at, which moves behind its line. -1: the line is not there yet. */
static long read_count(const struct relay *relay, size_t *at)
{
    const char *end = memchr(relay->buffer + *at, '\n', relay->used - *at);
    long count;

    if (!end)
        return -1;
    count = strtol(relay->buffer + *at + 1, NULL, 10);
    *at = (size_t)(end - relay->buffer) + 1;
    return count;
}

/* The size of the first command; 0: it is not whole. */
static size_t first_command(const struct relay *relay)
{
    size_t at = 0;
    long count = read_count(relay, &at);

    for (long i = 0; i < count; i++) {
        long size = read_count(relay, &at);

        if (size < 0 || at + (size_t)size + 2 > relay->used)
            return 0;
        at += (size_t)size + 2;
    }
    return count > 0 ? at : 0;
}

static bool send_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);

        if (sent <= 0)
            return false;
        bytes += sent;
        size -= (size_t)sent;
    }
    return true;
}

/* Hands the first command on when its time has come. False: the connection is over. */
static bool hand_on(struct relay *relay, int64_t delay_ns)
{
    size_t size = first_command(relay);
    bool sent;

    if (size == 0)
        return true;
    if (relay->due_ns == 0)
        relay->due_ns = clock_monotonic_ns() + delay_ns;
    if (clock_monotonic_ns() < relay->due_ns)
        return true;
    sent = send_all(relay->server, relay->buffer, size);
    relay->used -= size;
    memmove(relay->buffer, relay->buffer + size, relay->used);
    relay->due_ns = 0;
    return sent && hand_on(relay, delay_ns);
}

static bool take_commands(struct relay *relay)
{
    ssize_t got = recv(relay->client, relay->buffer + relay->used, BUFFER_SIZE - relay->used, 0);

    if (got > 0)
        relay->used += (size_t)got;
    return got > 0;
}

static bool give_replies(struct relay *relay)
{
    char bytes[65536];
    ssize_t got = recv(relay->server, bytes, sizeof bytes, 0);

    return got > 0 && send_all(relay->client, bytes, (size_t)got);
}

static int timeout_ms(const struct relay *relay)
{
    int64_t left_ns = relay->due_ns - clock_monotonic_ns();

    if (relay->due_ns == 0)
        return -1;
    return left_ns > 0 ? (int)(left_ns / 1000000) + 1 : 0;
}

/* Relays until one side or the test ends it. Returns whether the test did. */
static bool relay_run(struct relay *relay, const struct slow_redis *slow)
{
    for (;;) {
        struct pollfd fds[] = {{.fd = slow->stop[0], .events = POLLIN},
                               {.fd = relay->client, .events = POLLIN},
                               {.fd = relay->server, .events = POLLIN}};

        poll(fds, 3, timeout_ms(relay));
        if (fds[0].revents)
            return true;
        if (fds[1].revents && !take_commands(relay))
            return false;
        if (fds[2].revents && !give_replies(relay))
            return false;
        if (!hand_on(relay, slow->delay_ms * INT64_C(1000000)))
            return false;
    }
}

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void *run(void *context)
{
    const struct slow_redis *slow = context;
    struct sockaddr_in server = loopback(slow->server_port);
    bool stopped = false;

    while (!stopped) {
        struct pollfd fds[] = {{.fd = slow->stop[0], .events = POLLIN}, {.fd = slow->listener, .events = POLLIN}};
        struct relay relay = {.buffer = malloc(BUFFER_SIZE)};

        poll(fds, 2, -1);
        relay.client = accept(slow->listener, NULL, NULL);
        relay.server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        stopped = fds[0].revents != 0;
        if (!stopped && relay.buffer && connect(relay.server, (struct sockaddr *)&server, sizeof server) == 0)
            stopped = relay_run(&relay, slow);
        if (relay.client >= 0)
            close(relay.client);
        close(relay.server);
        free(relay.buffer);
    }
    return NULL;
}

void slow_redis_start(struct slow_redis *slow, int server_port, int delay_ms)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;

    slow->server_port = server_port;
    slow->delay_ms = delay_ms;
    slow->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(slow->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(slow->listener, 8), 0);
    assert_int_equal(getsockname(slow->listener, (struct sockaddr *)&address, &size), 0);
    slow->port = ntohs(address.sin_port);
    assert_int_equal(pipe(slow->stop), 0);
    assert_int_equal(pthread_create(&slow->thread, NULL, run, slow), 0);
}

void slow_redis_stop(struct slow_redis *slow)
{
    close(slow->stop[1]);
    pthread_join(slow->thread, NULL);
    close(slow->stop[0]);
    close(slow->listener);
}
