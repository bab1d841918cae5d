#include "tests/unit/bridge/nats_server.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/support/loopback.h"

enum { SUBSCRIPTIONS_MAX = 16, WAIT_SECONDS = 10 };

struct subscription {
    char subject[64];
    char id[16];
};

struct nats_server {
    int fd;
    int port;
    char url[64];
    pthread_t thread;
    /* Guards what follows. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int client; /* -1: none */
    bool is_next_mute;
    bool is_mute; /* the present connection; */
    int pings;    /* and how many it sent */
    struct subscription subscriptions[SUBSCRIPTIONS_MAX];
    size_t count;
};

static void note_subscription(struct nats_server *server, const char *line)
{
    struct subscription subscription;

    if (sscanf(line, "SUB %63s %15s", subscription.subject, subscription.id) != 2)
        return;
    pthread_mutex_lock(&server->lock);
    if (server->count < SUBSCRIPTIONS_MAX)
        server->subscriptions[server->count++] = subscription;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

/* Whether a PING is answered; that of the making always is. */
static bool answers(struct nats_server *server)
{
    bool is_mute;

    pthread_mutex_lock(&server->lock);
    is_mute = server->is_mute && server->pings++ > 0;
    pthread_mutex_unlock(&server->lock);
    return !is_mute;
}

static void handle_line(struct nats_server *server, int client, const char *line)
{
    if (strncmp(line, "PING", 4) == 0 && answers(server))
        loopback_send(client, "PONG\r\n", 6);
    else if (strncmp(line, "SUB ", 4) == 0)
        note_subscription(server, line);
}

/* What the client says, line by line; it publishes nothing. */
static void serve(struct nats_server *server, int client)
{
    FILE *stream = fdopen(dup(client), "r");
    char line[4096];
    char info[256];

    snprintf(info, sizeof info,
             "INFO {\"server_id\":\"test\",\"version\":\"2.9.0\",\"proto\":1,\"headers\":true,\"max_payload\":1048576,"
             "\"host\":\"127.0.0.1\",\"port\":%d}\r\n",
             server->port);
    loopback_send(client, info, strlen(info));
    while (stream && fgets(line, sizeof line, stream))
        handle_line(server, client, line);
    if (stream)
        fclose(stream);
}

static void set_client(struct nats_server *server, int client)
{
    pthread_mutex_lock(&server->lock);
    server->client = client;
    server->count = 0;
    server->pings = 0;
    server->is_mute = false;
    if (client >= 0) {
        server->is_mute = server->is_next_mute;
        server->is_next_mute = false;
    }
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

static void *run(void *context)
{
    struct nats_server *server = context;
    int client;

    while ((client = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        set_client(server, client);
        serve(server, client);
        set_client(server, -1);
        close(client);
    }
    return NULL;
}

struct nats_server *nats_server_new(void)
{
    struct nats_server *server = calloc(1, sizeof *server);

    assert_non_null(server);
    server->client = -1;
    server->fd = loopback_listen(&server->port);
    snprintf(server->url, sizeof server->url, "nats://127.0.0.1:%d", server->port);
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->changed, NULL);
    assert_int_equal(pthread_create(&server->thread, NULL, run, server), 0);
    return server;
}

void nats_server_free(struct nats_server *server)
{
    shutdown(server->fd, SHUT_RDWR);
    nats_server_cut(server);
    pthread_join(server->thread, NULL);
    close(server->fd);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

const char *nats_server_url(const struct nats_server *server)
{
    return server->url;
}

/* The lock must be held. */
static const char *find(const struct nats_server *server, const char *subject)
{
    for (size_t i = 0; i < server->count; i++)
        if (strcmp(server->subscriptions[i].subject, subject) == 0)
            return server->subscriptions[i].id;
    return NULL;
}

void nats_server_await(struct nats_server *server, const char *subject)
{
    struct timespec until;
    int error = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_SECONDS;
    pthread_mutex_lock(&server->lock);
    while (!find(server, subject) && error == 0)
        error = pthread_cond_timedwait(&server->changed, &server->lock, &until);
    pthread_mutex_unlock(&server->lock);
    assert_int_equal(error, 0);
}

bool nats_server_has(struct nats_server *server, const char *subject)
{
    bool has;

    pthread_mutex_lock(&server->lock);
    has = find(server, subject) != NULL;
    pthread_mutex_unlock(&server->lock);
    return has;
}

static void write_message(FILE *stream, const char *subject, const char *id, const char *payload, size_t size)
{
    fprintf(stream, "MSG %s %s %zu\r\n", subject, id, size);
    fwrite(payload, 1, size, stream);
    fputs("\r\n", stream);
}

/* Sends messages to who subscribed, in one write. payload: NULL: each is its number. */
static void send_messages(struct nats_server *server, const char *subscription, const char *subject,
                          const char *payload, size_t size, int first, int last)
{
    char *bytes = NULL;
    size_t count = 0;
    FILE *stream = open_memstream(&bytes, &count);
    const char *id;
    bool is_subscribed;

    assert_non_null(stream);
    pthread_mutex_lock(&server->lock);
    id = find(server, subscription);
    is_subscribed = id != NULL;
    for (int i = first; is_subscribed && i <= last; i++) {
        char number[16];

        snprintf(number, sizeof number, "%d", i);
        write_message(stream, subject, id, payload ? payload : number, payload ? size : strlen(number));
    }
    fclose(stream);
    loopback_send(server->client, bytes, count);
    pthread_mutex_unlock(&server->lock);
    free(bytes);
    assert_true(is_subscribed);
}

void nats_server_send(struct nats_server *server, const char *subscription, const char *subject, const char *payload,
                      size_t size)
{
    send_messages(server, subscription, subject, payload, size, 1, 1);
}

void nats_server_send_numbers(struct nats_server *server, const char *subscription, const char *subject, int first,
                              int last)
{
    send_messages(server, subscription, subject, NULL, 0, first, last);
}

void nats_server_mute_next(struct nats_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->is_next_mute = true;
    pthread_mutex_unlock(&server->lock);
}

void nats_server_cut(struct nats_server *server)
{
    pthread_mutex_lock(&server->lock);
    if (server->client >= 0)
        shutdown(server->client, SHUT_RDWR);
    server->count = 0;
    pthread_mutex_unlock(&server->lock);
}
