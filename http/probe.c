#include "http/probe.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { TIMEOUT_S = 3 };

static const char request[] = "GET /stream/health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

static int ask(int fd, const struct addrinfo *address)
{
    struct timeval timeout = {.tv_sec = TIMEOUT_S};
    char answer[16];
    size_t size = 0;

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    if (connect(fd, address->ai_addr, address->ai_addrlen) < 0)
        return -errno;
    if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) != (ssize_t)sizeof request - 1)
        return -EIO;
    while (size < sizeof answer - 1) {
        ssize_t received = recv(fd, answer + size, sizeof answer - 1 - size, 0);

        if (received < 0)
            return -errno;
        if (received == 0)
            return -EPROTO;
        size += (size_t)received;
    }
    answer[size] = '\0';
    return strncmp(answer, "HTTP/1.1 200 ", 13) == 0 ? 0 : -EPROTO;
}

int probe_live(const char *bind_address, int64_t port)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *address;
    char port_text[8];
    int fd;
    int status;

    /* A socket bound to all addresses is reached by the loopback one. */
    if (strcmp(bind_address, "0.0.0.0") == 0)
        bind_address = "127.0.0.1";
    if (strcmp(bind_address, "::") == 0)
        bind_address = "::1";
    snprintf(port_text, sizeof port_text, "%d", (int)port);
    if (getaddrinfo(bind_address, port_text, &hints, &address) != 0)
        return -EINVAL;
    fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    status = fd < 0 ? -errno : ask(fd, address);
    if (fd >= 0)
        close(fd);
    freeaddrinfo(address);
    return status;
}
