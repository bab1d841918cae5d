#include "tests/unit/auth/jwks_server.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/support/loopback.h"

struct jwks_server {
    int fd;
    char url[64];
    pthread_t thread;
    /* Guards what follows. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char *status;
    char *headers;
    char *body;
    int requests;
    int unchanged;
    int held; /* the connection that gets no answer, or -1 */
};

static void say(int fd, const char *text)
{
    loopback_send(fd, text, strlen(text));
}

static bool has_etag(const struct jwks_server *server, const char *request)
{
    const char *tag = strstr(server->headers, "ETag: ");
    char line[256];

    if (!tag)
        return false;
    tag += strlen("ETag: ");
    snprintf(line, sizeof line, "If-None-Match: %.*s\r\n", (int)strcspn(tag, "\r"), tag);
    return strstr(request, line) != NULL;
}

static void answer(struct jwks_server *server, int fd, const char *request)
{
    char head[1024];

    if (has_etag(server, request)) {
        server->unchanged++;
        say(fd, "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n");
        return;
    }
    snprintf(head, sizeof head, "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n", server->status,
             strlen(server->body), server->headers);
    say(fd, head);
    say(fd, server->body);
}

static bool read_request(int fd, char *ret_request, size_t size)
{
    size_t used = 0;

    while (used + 1 < size) {
        ssize_t got = recv(fd, ret_request + used, size - used - 1, 0);

        if (got <= 0)
            return false;
        used += (size_t)got;
        ret_request[used] = '\0';
        if (strstr(ret_request, "\r\n\r\n"))
            return true;
    }
    return false;
}

static void serve(struct jwks_server *server, int fd)
{
    char request[8192];

    if (read_request(fd, request, sizeof request)) {
        pthread_mutex_lock(&server->lock);
        server->requests++;
        pthread_cond_broadcast(&server->changed);
        if (server->status) {
            answer(server, fd, request);
        } else {
            if (server->held >= 0)
                close(server->held);
            server->held = fd;
            fd = -1;
        }
        pthread_mutex_unlock(&server->lock);
    }
    if (fd >= 0)
        close(fd);
}

static void *run(void *context)
{
    struct jwks_server *server = context;
    int fd;

    while ((fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        serve(server, fd);
    return NULL;
}

struct jwks_server *jwks_server_new(void)
{
    struct jwks_server *server = calloc(1, sizeof *server);
    int port;

    assert_non_null(server);
    server->held = -1;
    server->fd = loopback_listen(&port);
    snprintf(server->url, sizeof server->url, "http://127.0.0.1:%d/jwks", port);
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->changed, NULL);
    assert_int_equal(pthread_create(&server->thread, NULL, run, server), 0);
    return server;
}

void jwks_server_free(struct jwks_server *server)
{
    shutdown(server->fd, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->fd);
    if (server->held >= 0)
        close(server->held);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    free(server->status);
    free(server->headers);
    free(server->body);
    free(server);
}

const char *jwks_server_url(const struct jwks_server *server)
{
    return server->url;
}

static void set(char **text, const char *value)
{
    free(*text);
    *text = value ? strdup(value) : NULL;
}

void jwks_server_answer(struct jwks_server *server, const char *status, const char *headers, const char *body)
{
    pthread_mutex_lock(&server->lock);
    set(&server->status, status);
    set(&server->headers, headers);
    set(&server->body, body);
    pthread_mutex_unlock(&server->lock);
}

int jwks_server_requests(struct jwks_server *server)
{
    int requests;

    pthread_mutex_lock(&server->lock);
    requests = server->requests;
    pthread_mutex_unlock(&server->lock);
    return requests;
}

int jwks_server_unchanged(struct jwks_server *server)
{
    int unchanged;

    pthread_mutex_lock(&server->lock);
    unchanged = server->unchanged;
    pthread_mutex_unlock(&server->lock);
    return unchanged;
}

void jwks_server_await(struct jwks_server *server, int requests)
{
    struct timespec until;
    int error = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    pthread_mutex_lock(&server->lock);
    while (server->requests < requests && error == 0)
        error = pthread_cond_timedwait(&server->changed, &server->lock, &until);
    pthread_mutex_unlock(&server->lock);
    assert_int_equal(error, 0);
}
