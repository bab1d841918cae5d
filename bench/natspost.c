/*
 * natspost: hands each event of NATS to a server that takes events by HTTP, as POST <path><company's number>.
 *
 * For peers that have no NATS of their own. It costs as little as such a process can: one connection, requests sent one
 * behind the other without waiting for answers, whatever NATS has brought meanwhile in one write.
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

#define HEAD_MAX_BYTES 512
#define PENDING_MAX_BYTES ((size_t)1 << 20)
#define ANSWERS_BUFFER_BYTES 65536

static const char company_in_event[] = "\"companyId\":\"c";
static const char answer_start[] = "HTTP/1.1 ";

struct poster {
    const char *url, *subject, *path;
    long port;
    int fd;
    pthread_mutex_t mutex;    /* guards what follows, which the NATS thread fills and the writer empties */
    pthread_cond_t is_filled; /* something pends, or it ends */
    pthread_cond_t has_room;
    char pending[PENDING_MAX_BYTES];
    size_t pending_bytes;
    bool ending;
    uint64_t posted;
    uint64_t unreadable; /* events without a company, or larger than what may pend */
    /* Of the reader until that has ended. */
    uint64_t refused; /* answers other than 2xx */
};

/* Copies a request into what pends, and waits for room there: NATS then keeps what comes. */
static void post(struct poster *poster, long company, const char *data, size_t data_bytes)
{
    char head[HEAD_MAX_BYTES];
    int head_bytes = snprintf(head, sizeof head, "POST %s%ld HTTP/1.1\r\nHost: peer\r\nContent-Length: %zu\r\n\r\n",
                              poster->path, company, data_bytes);
    size_t size = (size_t)head_bytes + data_bytes;

    pthread_mutex_lock(&poster->mutex);
    if (company < 0 || (size_t)head_bytes >= sizeof head || size > sizeof poster->pending) {
        poster->unreadable++;
        pthread_mutex_unlock(&poster->mutex);
        return;
    }
    while (poster->pending_bytes + size > sizeof poster->pending && !poster->ending)
        pthread_cond_wait(&poster->has_room, &poster->mutex);
    if (!poster->ending) {
        memcpy(poster->pending + poster->pending_bytes, head, (size_t)head_bytes);
        memcpy(poster->pending + poster->pending_bytes + head_bytes, data, data_bytes);
        if (poster->pending_bytes == 0)
            pthread_cond_signal(&poster->is_filled);
        poster->pending_bytes += size;
        poster->posted++;
    }
    pthread_mutex_unlock(&poster->mutex);
}

/* The number of the event's company, or -1. */
static long company_of(const char *data, size_t size)
{
    const size_t key_bytes = sizeof company_in_event - 1;
    const char *at = memmem(data, size, company_in_event, key_bytes);
    long number = 0;

    if (!at || at + key_bytes == data + size || at[key_bytes] < '0' || at[key_bytes] > '9')
        return -1;
    for (at += key_bytes; at < data + size && *at >= '0' && *at <= '9' && number < 1000000; at++)
        number = number * 10 + (*at - '0');
    return number;
}

static void on_event(natsConnection *connection, natsSubscription *subscription, natsMsg *message, void *context)
{
    size_t size = (size_t)natsMsg_GetDataLength(message);

    (void)connection;
    (void)subscription;
    post(context, company_of(natsMsg_GetData(message), size), natsMsg_GetData(message), size);
    natsMsg_Destroy(message);
}

static bool send_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);

        if (sent < 0 && errno != EINTR)
            return false;
        if (sent > 0) {
            bytes += sent;
            size -= (size_t)sent;
        }
    }
    return true;
}

/* Takes all that pends and sends it while more may come. */
static void *write_requests(void *context)
{
    static char sending[PENDING_MAX_BYTES];
    struct poster *poster = context;
    bool works = true;

    pthread_mutex_lock(&poster->mutex);
    while (works && !poster->ending) {
        size_t size = poster->pending_bytes;

        if (size == 0) {
            pthread_cond_wait(&poster->is_filled, &poster->mutex);
            continue;
        }
        memcpy(sending, poster->pending, size);
        poster->pending_bytes = 0;
        pthread_cond_signal(&poster->has_room);
        pthread_mutex_unlock(&poster->mutex);
        works = send_all(poster->fd, sending, size);
        pthread_mutex_lock(&poster->mutex);
    }
    pthread_mutex_unlock(&poster->mutex);
    return NULL;
}

/* Reads the answers, of which only the status counts. Ends the process when the server hangs up on us. */
static void *read_answers(void *context)
{
    static char answers[ANSWERS_BUFFER_BYTES];
    struct poster *poster = context;
    const size_t line_bytes = sizeof answer_start; /* with the status's first digit */
    size_t kept = 0;
    ssize_t size;

    while ((size = read(poster->fd, answers + kept, sizeof answers - kept)) > 0) {
        const char *at = answers, *end = answers + kept + size, *next;

        while ((next = memmem(at, (size_t)(end - at), answer_start, sizeof answer_start - 1)) &&
               next + line_bytes <= end) {
            if (next[line_bytes - 1] != '2')
                poster->refused++;
            at = next + line_bytes;
        }
        /* A line may be cut by the end of what was read. */
        kept = (size_t)(end - at) < line_bytes ? (size_t)(end - at) : line_bytes - 1;
        memmove(answers, end - kept, kept);
    }
    kill(getpid(), SIGTERM);
    return NULL;
}

static int connect_to_server(struct poster *poster)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)poster->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;

    poster->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (poster->fd < 0 || setsockopt(poster->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ||
        connect(poster->fd, (struct sockaddr *)&address, sizeof address) < 0)
        return -errno;
    return 0;
}

static natsStatus subscribe(struct poster *poster, natsConnection **ret_connection, natsSubscription **ret_subscription)
{
    natsStatus status = natsConnection_ConnectTo(ret_connection, poster->url);

    if (status == NATS_OK)
        status = natsConnection_Subscribe(ret_subscription, *ret_connection, poster->subject, on_event, poster);
    if (status == NATS_OK)
        status = natsSubscription_SetPendingLimits(*ret_subscription, -1, -1);
    if (status == NATS_OK)
        status = natsConnection_Flush(*ret_connection);
    return status;
}

static natsStatus serve(struct poster *poster, const sigset_t *signals)
{
    natsConnection *connection = NULL;
    natsSubscription *subscription = NULL;
    natsStatus status = subscribe(poster, &connection, &subscription);
    int signal_number;

    if (status == NATS_OK) {
        fprintf(stderr, "READY\n");
        sigwait(signals, &signal_number);
    } else {
        fprintf(stderr, "natspost: %s\n", natsStatus_GetText(status));
    }
    pthread_mutex_lock(&poster->mutex);
    poster->ending = true;
    pthread_cond_broadcast(&poster->has_room);
    pthread_cond_broadcast(&poster->is_filled);
    pthread_mutex_unlock(&poster->mutex);

    natsConnection_Close(connection);
    natsSubscription_Destroy(subscription);
    natsConnection_Destroy(connection);
    nats_CloseAndWait(0);
    return status;
}

int main(int argc, char **argv)
{
    static struct poster poster = {.url = "nats://127.0.0.1:4222",
                                   .subject = "metrics.*",
                                   .path = "/pub/c",
                                   .port = 3007,
                                   .mutex = PTHREAD_MUTEX_INITIALIZER,
                                   .is_filled = PTHREAD_COND_INITIALIZER,
                                   .has_room = PTHREAD_COND_INITIALIZER};
    const struct tool_option table[] = {
        {"url", "the NATS server", NULL, 0, 0, &poster.url},
        {"subject", "what to subscribe to", NULL, 0, 0, &poster.subject},
        {"port", "the HTTP server's port on 127.0.0.1", &poster.port, 1, 65535, NULL},
        {"path", "where to post; the company's number is appended", NULL, 0, 0, &poster.path},
    };
    int error = tool_parse_options("natspost: posts each event of NATS to an HTTP server.", table,
                                   sizeof table / sizeof table[0], argc, argv);
    pthread_t writer, reader;
    natsStatus status;
    sigset_t signals;

    if (error)
        return error < 0 ? 2 : 0;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before any thread, so that only main gets them */
    error = connect_to_server(&poster);
    if (!error)
        error = -pthread_create(&writer, NULL, write_requests, &poster);
    if (!error)
        error = -pthread_create(&reader, NULL, read_answers, &poster);
    if (error) {
        fprintf(stderr, "natspost: %s\n", strerror(-error));
        return 1;
    }
    status = serve(&poster, &signals);
    shutdown(poster.fd, SHUT_RDWR);
    pthread_join(writer, NULL);
    pthread_join(reader, NULL);
    close(poster.fd);
    printf("{\"posted\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"unreadable\":%" PRIu64 "}\n", poster.posted,
           poster.refused, poster.unreadable);
    return status == NATS_OK ? 0 : 1;
}
