/*
 * floor: the least that a bridge can do, as the yardstick. NATS callback → one SSE frame → one bare send() for each
 * socket of the company, and nothing else: no store, no buffers, no chunked framing, no heartbeats, no errors told.
 * What a full socket refuses is lost and counted.
 */
#include <nats/nats.h>

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tool.h"

#define COMPANIES_MAX 65536
#define REQUEST_MAX_BYTES 4096
#define FRAME_MAX_BYTES 70000
#define BACKLOG 4096

static const char company_in_event[] = "\"companyId\":\"c";
static const char company_in_request[] = "companyId=c";

/* stream.ready, since the load generator waits for it, so that no event is published too early. */
static const char stream_head[] = "HTTP/1.1 200 OK\r\n"
                                  "Content-Type: text/event-stream\r\n"
                                  "Cache-Control: no-cache\r\n"
                                  "\r\n"
                                  "event: stream.ready\n"
                                  "data: {}\n\n";
/* The answer to anything else, which is how the runner learns that the floor is up. */
static const char plain_answer[] = "HTTP/1.1 200 OK\r\n"
                                   "Content-Length: 0\r\n"
                                   "Connection: close\r\n"
                                   "\r\n";

struct sockets {
    int *descriptors;
    size_t count;
    size_t capacity;
};

struct floor_server {
    pthread_mutex_t mutex; /* guards companies, which one thread fills and another walks */
    struct sockets companies[COMPANIES_MAX];
    int listener;
    /* Of the NATS thread until that has ended. */
    uint64_t events;
    uint64_t sent;
    uint64_t unsent;
    char frame[FRAME_MAX_BYTES];
};

/* The number behind `key`, or -1. */
static long company_of(const char *text, size_t size, const char *key)
{
    const char *at = memmem(text, size, key, strlen(key));
    long number = 0;

    if (!at)
        return -1;
    at += strlen(key);
    if (at == text + size || *at < '0' || *at > '9')
        return -1;
    for (; at < text + size && *at >= '0' && *at <= '9' && number < COMPANIES_MAX; at++)
        number = number * 10 + (*at - '0');
    return number < COMPANIES_MAX ? number : -1;
}

static void send_to_all(struct floor_server *server, long company, size_t frame_bytes)
{
    pthread_mutex_lock(&server->mutex);
    const struct sockets *sockets = &server->companies[company];
    for (size_t i = 0; i < sockets->count; i++) {
        ssize_t sent = send(sockets->descriptors[i], server->frame, frame_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent == (ssize_t)frame_bytes)
            server->sent++;
        else
            server->unsent++;
    }
    pthread_mutex_unlock(&server->mutex);
}

static void on_event(natsConnection *connection, natsSubscription *subscription, natsMsg *message, void *context)
{
    struct floor_server *server = context;
    const char *data = natsMsg_GetData(message);
    int data_bytes = natsMsg_GetDataLength(message);
    long company = company_of(data, (size_t)data_bytes, company_in_event);
    int frame_bytes;

    (void)connection;
    (void)subscription;
    server->events++;
    frame_bytes =
        snprintf(server->frame, sizeof server->frame, "id: %s-%" PRIu64 "\nevent: metric_updated\ndata: %.*s\n\n",
                 natsMsg_GetSubject(message), server->events, data_bytes, data);
    if (company >= 0 && frame_bytes < FRAME_MAX_BYTES)
        send_to_all(server, company, (size_t)frame_bytes);
    natsMsg_Destroy(message);
}

static bool sockets_add(struct sockets *sockets, int descriptor)
{
    if (sockets->count == sockets->capacity) {
        size_t capacity = sockets->capacity ? sockets->capacity * 2 : 64;
        int *grown = realloc(sockets->descriptors, capacity * sizeof *grown);

        if (!grown)
            return false;
        sockets->descriptors = grown;
        sockets->capacity = capacity;
    }
    sockets->descriptors[sockets->count++] = descriptor;
    return true;
}

/* Answers one request. Gives whether the socket is now a stream's. */
static bool answer(struct floor_server *server, int descriptor)
{
    char request[REQUEST_MAX_BYTES];
    ssize_t size = read(descriptor, request, sizeof request);
    long company;
    bool added;

    if (size <= 0)
        return false;
    company = company_of(request, (size_t)size, company_in_request);
    if (company < 0) {
        (void)!send(descriptor, plain_answer, sizeof plain_answer - 1, MSG_NOSIGNAL);
        return false;
    }
    /* One step for the NATS thread: no event before the head, none missed behind it. */
    pthread_mutex_lock(&server->mutex);
    added = send(descriptor, stream_head, sizeof stream_head - 1, MSG_NOSIGNAL) > 0 &&
            sockets_add(&server->companies[company], descriptor);
    pthread_mutex_unlock(&server->mutex);
    return added;
}

static void *accept_streams(void *context)
{
    struct floor_server *server = context;
    int on = 1;

    for (;;) {
        int descriptor = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);

        if (descriptor < 0 && errno == EINVAL)
            return NULL; /* the listener was shut down */
        if (descriptor < 0) {
            perror("floor: accept");
            continue;
        }
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (!answer(server, descriptor))
            close(descriptor);
    }
}

static int start_listening(struct floor_server *server, long port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;

    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server->listener < 0)
        return -errno;
    if (setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(server->listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(server->listener, BACKLOG) < 0)
        return -errno;
    return 0;
}

static natsStatus subscribe(struct floor_server *server, const char *url, const char *subject,
                            natsConnection **ret_connection, natsSubscription **ret_subscription)
{
    natsStatus status = natsConnection_ConnectTo(ret_connection, url);

    if (status == NATS_OK)
        status = natsConnection_Subscribe(ret_subscription, *ret_connection, subject, on_event, server);
    if (status == NATS_OK)
        status = natsSubscription_SetPendingLimits(*ret_subscription, -1, -1);
    if (status == NATS_OK)
        status = natsConnection_Flush(*ret_connection);
    return status;
}

static void serve_until_signal(struct floor_server *server, const sigset_t *signals)
{
    pthread_t acceptor;
    int signal_number;

    if (pthread_create(&acceptor, NULL, accept_streams, server) != 0)
        return;
    sigwait(signals, &signal_number);
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(acceptor, NULL);
}

static void release_sockets(struct floor_server *server)
{
    for (size_t i = 0; i < COMPANIES_MAX; i++) {
        struct sockets *sockets = &server->companies[i];

        while (sockets->count > 0)
            close(sockets->descriptors[--sockets->count]);
        free(sockets->descriptors);
    }
    close(server->listener);
}

int main(int argc, char **argv)
{
    static struct floor_server server = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    const char *url = "nats://127.0.0.1:4222", *subject = "metrics.*";
    long port = 3007, descriptors;
    const struct tool_option table[] = {
        {"port", "port to serve on 127.0.0.1", &port, 1, 65535, NULL},
        {"url", "the NATS server", NULL, 0, 0, &url},
        {"subject", "what to subscribe to", NULL, 0, 0, &subject},
    };
    int error =
        tool_parse_options("floor: the least that a bridge can do.", table, sizeof table / sizeof table[0], argc, argv);
    natsConnection *connection = NULL;
    natsSubscription *subscription = NULL;
    natsStatus status;
    sigset_t signals;

    if (error)
        return error < 0 ? 2 : 0;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before any thread, so that only main gets them */

    error = tool_raise_descriptor_limit(&descriptors);
    if (!error)
        error = start_listening(&server, port);
    if (error) {
        fprintf(stderr, "floor: %s\n", strerror(-error));
        return 1;
    }
    status = subscribe(&server, url, subject, &connection, &subscription);
    if (status == NATS_OK)
        serve_until_signal(&server, &signals);
    else
        fprintf(stderr, "floor: %s\n", natsStatus_GetText(status));

    natsConnection_Close(connection);
    natsSubscription_Destroy(subscription);
    natsConnection_Destroy(connection);
    nats_CloseAndWait(0);
    release_sockets(&server);
    printf("{\"events\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"unsent\":%" PRIu64 "}\n", server.events, server.sent,
           server.unsent);
    return status == NATS_OK ? 0 : 1;
}
