#include "support/fake_socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/fake_clock.h"

enum { SOCKETS_MAX = 1024 };

static struct fake_socket *sockets[SOCKETS_MAX];

ssize_t __real_send(int fd, const void *bytes, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t size, int flags);
ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
int __real_close(int fd);
int __wrap_close(int fd);

struct fake_socket *fake_socket_new(size_t capacity)
{
    struct fake_socket *socket = calloc(1, sizeof *socket);

    if (!socket)
        abort();
    socket->fd = eventfd(0, EFD_CLOEXEC);
    if (socket->fd < 0 || socket->fd >= SOCKETS_MAX)
        abort();
    socket->capacity = capacity;
    socket->edge = capacity > 0;
    sockets[socket->fd] = socket;
    return socket;
}

void fake_socket_free(struct fake_socket *socket)
{
    if (!socket)
        return;
    if (!socket->closed) {
        sockets[socket->fd] = NULL;
        __real_close(socket->fd);
    }
    free(socket->bytes);
    free(socket);
}

static size_t room(const struct fake_socket *socket)
{
    size_t waiting = socket->size - socket->read;

    return waiting < socket->capacity ? socket->capacity - waiting : 0;
}

static void note_room(struct fake_socket *socket)
{
    if (socket->full && room(socket) > 0) {
        socket->full = false;
        socket->edge = true;
    }
}

size_t fake_socket_read(struct fake_socket *socket, size_t size, const char **ret_bytes)
{
    size_t waiting = socket->size - socket->read;

    if (size > waiting)
        size = waiting;
    *ret_bytes = socket->bytes + socket->read;
    socket->read += size;
    note_room(socket);
    return size;
}

void fake_socket_set_capacity(struct fake_socket *socket, size_t capacity)
{
    socket->capacity = capacity;
    note_room(socket);
}

static void grow(struct fake_socket *socket, size_t size)
{
    socket->allocated = size;
    socket->bytes = realloc(socket->bytes, size);
    if (!socket->bytes)
        abort();
}

void fake_socket_reserve(struct fake_socket *socket, size_t size)
{
    grow(socket, socket->size + size);
}

/* Takes what fits. */
static size_t take(struct fake_socket *socket, const void *bytes, size_t size)
{
    size_t taken = size < room(socket) ? size : room(socket);

    if (taken < size)
        socket->full = true;
    if (socket->size + taken > socket->allocated)
        grow(socket, 2 * (socket->size + taken));
    if (taken > 0)
        memcpy(socket->bytes + socket->size, bytes, taken);
    socket->size += taken;
    return taken;
}

/* What a write returns that took that much of it. */
static ssize_t result(struct fake_socket *socket, size_t taken, size_t size)
{
    fake_clock_advance_ms(socket->write_ms);
    if (taken > 0 || size == 0)
        return (ssize_t)taken;
    socket->writes_refused++;
    errno = EAGAIN;
    return -1;
}

static ssize_t fail(const struct fake_socket *socket)
{
    fake_clock_advance_ms(socket->write_ms);
    errno = EPIPE;
    return -1;
}

ssize_t __wrap_send(int fd, const void *bytes, size_t size, int flags)
{
    struct fake_socket *socket = fd >= 0 && fd < SOCKETS_MAX ? sockets[fd] : NULL;

    if (!socket)
        return __real_send(fd, bytes, size, flags);
    if (socket->gone)
        return fail(socket);
    return result(socket, take(socket, bytes, size), size);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct fake_socket *socket = fd >= 0 && fd < SOCKETS_MAX ? sockets[fd] : NULL;
    size_t total = 0;
    size_t taken = 0;

    if (!socket)
        return __real_sendmsg(fd, message, flags);
    if (socket->gone)
        return fail(socket);
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        size_t size = message->msg_iov[i].iov_len;

        if (taken == total)
            taken += take(socket, message->msg_iov[i].iov_base, size);
        total += size;
    }
    return result(socket, taken, total);
}

int __wrap_close(int fd)
{
    if (fd >= 0 && fd < SOCKETS_MAX && sockets[fd]) {
        sockets[fd]->closed = true;
        sockets[fd] = NULL;
    }
    return __real_close(fd);
}
