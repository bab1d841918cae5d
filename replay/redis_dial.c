#include "replay/redis_dial.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/thread.h"

struct redis_dial {
    struct redis_endpoint server;
    int timeout_ms;
    int fd; /* an eventfd */
    /* Holders: the owner and the thread. The last one frees. */
    atomic_int holders;
    /* The socket, or -errno. Written by the thread alone, with release, so that the owner sees a finished socket. */
    atomic_int result;
};

static void release(struct redis_dial *dial)
{
    int result;

    if (atomic_fetch_sub_explicit(&dial->holders, 1, memory_order_acq_rel) != 1)
        return;
    result = atomic_load_explicit(&dial->result, memory_order_relaxed);
    if (result >= 0)
        close(result);
    close(dial->fd);
    free(dial);
}

static int connect_address(const struct addrinfo *address, int timeout_ms)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct pollfd writable = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t error_size = sizeof error;
    int one = 1;

    if (fd < 0)
        return -errno;
    if (connect(fd, address->ai_addr, address->ai_addrlen) < 0 && errno != EINPROGRESS) {
        error = errno;
    } else if (poll(&writable, 1, timeout_ms) <= 0) {
        error = ETIMEDOUT;
    } else {
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_size);
    }
    if (error) {
        close(fd);
        return -error;
    }
    if (address->ai_family != AF_UNIX) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    }
    return fd;
}

static int connect_socket(const struct redis_dial *dial)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct addrinfo address = {
        .ai_family = AF_UNIX, .ai_addr = (struct sockaddr *)(void *)&name, .ai_addrlen = sizeof name};

    snprintf(name.sun_path, sizeof name.sun_path, "%s", dial->server.path);
    return connect_address(&address, dial->timeout_ms);
}

static int connect_server(const struct redis_dial *dial)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses = NULL;
    int result = -EHOSTUNREACH;

    if (getaddrinfo(dial->server.host, dial->server.port, &hints, &addresses) == 0)
        for (const struct addrinfo *at = addresses; at && result < 0; at = at->ai_next)
            result = connect_address(at, dial->timeout_ms);
    if (addresses)
        freeaddrinfo(addresses);
    return result;
}

static void *run(void *context)
{
    struct redis_dial *dial = context;
    int result = dial->server.path[0] ? connect_socket(dial) : connect_server(dial);
    uint64_t one = 1;
    ssize_t written;

    atomic_store_explicit(&dial->result, result, memory_order_release);
    written = write(dial->fd, &one, sizeof one);
    (void)written; /* it cannot fail: the counter was 0 */
    release(dial);
    return NULL;
}

struct redis_dial *redis_dial_new(const struct redis_endpoint *server, int timeout_ms)
{
    struct redis_dial *dial = calloc(1, sizeof *dial);
    pthread_t thread;

    if (!dial)
        return NULL;
    dial->server = *server;
    dial->timeout_ms = timeout_ms;
    atomic_init(&dial->holders, 2);
    atomic_init(&dial->result, -EINPROGRESS);
    dial->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (dial->fd < 0) {
        free(dial);
        return NULL;
    }
    if (thread_start(&thread, "redis-dial", run, dial) < 0) {
        close(dial->fd);
        free(dial);
        return NULL;
    }
    pthread_detach(thread);
    return dial;
}

int redis_dial_fd(const struct redis_dial *dial)
{
    return dial->fd;
}

int redis_dial_result(struct redis_dial *dial)
{
    int result = atomic_load_explicit(&dial->result, memory_order_acquire);

    if (result >= 0)
        atomic_store_explicit(&dial->result, -ESHUTDOWN, memory_order_relaxed);
    return result;
}

void redis_dial_free(struct redis_dial *dial)
{
    if (dial)
        release(dial);
}
