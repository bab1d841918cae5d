#ifndef SLUICE_TESTS_FAKE_SOCKET_H
#define SLUICE_TESTS_FAKE_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A socket whose kernel buffer and client belong to the test: send(), sendmsg() and close() of the code under test are
 * wrapped at link time (-Wl,--wrap). Every other descriptor is left to the system.
 */
struct fake_socket {
    int fd;
    size_t capacity; /* of the kernel's buffer */
    bool gone;       /* the client went: writes fail */
    bool full;       /* a write took less than all since the last edge */
    bool edge;       /* EPOLLOUT is due */
    bool closed;     /* by the code under test */
    size_t writes_refused;
    int64_t write_ms; /* how long a write takes, by fake_clock.h */
    char *bytes;      /* all that was written */
    size_t size;
    size_t allocated;
    size_t read; /* by the client */
};

/* A socket with that much room. */
struct fake_socket *fake_socket_new(size_t capacity);
void fake_socket_free(struct fake_socket *socket);

/* The client reads up to `size` bytes; returns how many, and where they are in ret_bytes. */
size_t fake_socket_read(struct fake_socket *socket, size_t size, const char **ret_bytes);

/* Writes of so many bytes in all need no memory from here on: for tests that count who allocates. */
void fake_socket_reserve(struct fake_socket *socket, size_t size);

/* Changes the room; more of it makes a full socket writable. */
void fake_socket_set_capacity(struct fake_socket *socket, size_t capacity);

#endif
