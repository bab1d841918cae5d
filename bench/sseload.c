/*
 * sseload: opens many event streams on loopback from one thread and checks every event that arrives.
 *
 * It shares the machine with the server under test, so it spends little: one epoll set, one large read buffer for all
 * streams, no allocation per event.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "histogram.h"
#include "load_report.h"
#include "stream_check.h"
#include "token_list.h"
#include "tool.h"

#define READ_BUFFER_BYTES ((size_t)256 * 1024)
#define REQUEST_MAX_BYTES 4096
#define EVENTS_PER_WAIT 512
#define OPENS_PER_PASS 256
#define SLOW_RECEIVE_BUFFER_BYTES 4096
#define SPARE_DESCRIPTORS 16

struct options {
    long port, streams, companies, first_company, rate, pending, slow, plain;
    long first, expect;
    long warmup_ms, linger_ms, seconds, connect_seconds;
    long gzip;
    const char *path, *last_event_id, *tokens;
};

enum client_state { CONNECTING, REQUESTED, CONNECTED, CLOSED };

struct client {
    int fd;
    enum client_state state;
    bool slow; /* reads the response's head, then nothing */
    bool complete;
    int company;
    int64_t opened_ns;
    struct stream_check *check;
};

struct load {
    struct options options;
    struct load_result result;
    struct tally tally;
    struct histogram *catch_up;
    struct client *clients;
    struct token_list *tokens; /* NULL: streams are asked for without */
    char *buffer;
    int epoll_fd;
    long opened;
    long given_up; /* closed before they were complete */
    int64_t started_ns, ready_ns, done_ns;
};

static volatile sig_atomic_t stopped;

static void on_signal(int signal_number)
{
    (void)signal_number;
    stopped = 1;
}

static int watch(struct load *load, struct client *client, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = client};

    return epoll_ctl(load->epoll_fd, operation, client->fd, &event) < 0 ? -errno : 0;
}

static void count_failure(struct load *load, struct client *client, const char *what, int error)
{
    int status = client->check ? stream_check_status(client->check) : 0;

    if (load->result.failed++ == 0)
        fprintf(stderr, "first failed stream: %s: %s, status %d\n", what, strerror(error), status);
    if (load->result.failed_status == 0)
        load->result.failed_status = status;
}

/* Ends a client from either side; `error` is 0 where the server closed. */
static void close_client(struct load *load, struct client *client, const char *what, int error)
{
    if (client->state == CONNECTED) {
        load->result.closed++;
        if (!client->complete)
            load->given_up++;
    } else {
        count_failure(load, client, what, error);
    }
    if (error == EPROTO || error == EMSGSIZE)
        load->result.protocol_errors++;
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    client->state = CLOSED;
}

static int start_connecting(struct load *load, struct client *client)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)load->options.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int size = SLOW_RECEIVE_BUFFER_BYTES;

    client->check =
        stream_check_new(&load->tally, client->company, load->options.first, client->slow ? 0 : load->options.expect);
    if (!client->check)
        return -ENOMEM;
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0)
        return -errno;
    if (client->slow && setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) < 0)
        return -errno;
    if (connect(client->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS)
        return -errno;
    return watch(load, client, EPOLL_CTL_ADD, EPOLLOUT);
}

static long least(long one, long other)
{
    return one < other ? one : other;
}

/* How many clients are to be opened now, counted from the first one. */
static long due_clients(const struct load *load, int64_t now_ns)
{
    double seconds = (double)(now_ns - load->started_ns) / (double)NS_PER_SECOND;
    long due = least((long)(seconds * (double)load->options.rate) + 1, load->options.streams);
    long settled = load->result.connected + load->result.failed;

    return load->options.pending > 0 ? least(due, settled + load->options.pending) : due;
}

/* Opens the clients that are due, a bounded number at a time so that reading goes on. */
static void open_due_clients(struct load *load, int64_t now_ns)
{
    long last = least(due_clients(load, now_ns), load->opened + OPENS_PER_PASS);

    for (; load->opened < last; load->opened++) {
        struct client *client = &load->clients[load->opened];
        int error;

        client->company = (int)(load->options.first_company + load->opened % load->options.companies);
        client->slow = load->opened < load->options.slow;
        client->opened_ns = tool_now_ns();
        error = start_connecting(load, client);
        if (error)
            close_client(load, client, "connecting", -error);
    }
}

static int write_request(const struct load *load, const struct client *client, char ret_request[REQUEST_MAX_BYTES])
{
    const struct options *options = &load->options;
    const char *id = options->last_event_id;
    const char *token = load->tokens ? token_list_at(load->tokens, (size_t)(client - load->clients)) : "";

    return snprintf(ret_request, REQUEST_MAX_BYTES,
                    "GET %s%d HTTP/1.1\r\nHost: 127.0.0.1:%ld\r\nAccept: text/event-stream\r\n"
                    "Cache-Control: no-cache\r\n%s%s%s%s%s%s%s\r\n",
                    options->path, client->company, options->port, options->gzip ? "Accept-Encoding: gzip\r\n" : "",
                    *id ? "Last-Event-ID: " : "", id, *id ? "\r\n" : "", *token ? "Authorization: Bearer " : "", token,
                    *token ? "\r\n" : "");
}

static int send_request(struct load *load, struct client *client)
{
    char request[REQUEST_MAX_BYTES];
    int error = 0;
    socklen_t error_size = sizeof error;
    int size;

    if (getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &error_size) < 0)
        return -errno;
    if (error)
        return -error;
    size = write_request(load, client, request);
    if (size >= REQUEST_MAX_BYTES)
        return -EMSGSIZE;
    if (send(client->fd, request, (size_t)size, MSG_NOSIGNAL) != size)
        return -errno;
    client->state = REQUESTED;
    return watch(load, client, EPOLL_CTL_MOD, EPOLLIN | EPOLLRDHUP);
}

/* Notices what the bytes just fed have brought about. Gives 0 or -errno. */
static int advance(struct load *load, struct client *client, int64_t now_ns)
{
    int status = stream_check_status(client->check);

    if (status != 0 && status != 200)
        return -ECONNREFUSED;
    if (client->state == REQUESTED &&
        (client->slow || load->options.plain ? status == 200 : stream_check_ready(client->check))) {
        client->state = CONNECTED;
        load->result.connected++;
        if (client->slow)
            return watch(load, client, EPOLL_CTL_MOD, 0);
    }
    if (!client->complete && stream_check_complete(client->check)) {
        client->complete = true;
        load->result.complete++;
        load->result.complete_seconds = (double)(now_ns - load->started_ns) / (double)NS_PER_SECOND;
        if (*load->options.last_event_id)
            histogram_record(load->catch_up, now_ns - client->opened_ns);
    }
    return 0;
}

static void read_client(struct load *load, struct client *client)
{
    ssize_t size = read(client->fd, load->buffer, READ_BUFFER_BYTES);
    int64_t now_ns;
    int error;

    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size <= 0) {
        close_client(load, client, "reading", size < 0 ? errno : 0);
        return;
    }
    now_ns = tool_now_ns();
    error = stream_check_feed(client->check, load->buffer, (size_t)size, now_ns);
    if (!error)
        error = advance(load, client, now_ns);
    if (error)
        close_client(load, client, "decoding", -error);
}

static void serve_client(struct load *load, struct client *client, uint32_t events)
{
    int error;

    if (client->state == CONNECTING) {
        error = send_request(load, client);
        if (error)
            close_client(load, client, "sending the request", -error);
    } else if (client->slow && client->state == CONNECTED) {
        if (events & (EPOLLHUP | EPOLLERR))
            close_client(load, client, "waiting", 0);
    } else {
        read_client(load, client);
    }
}

static int serve_ready_clients(struct load *load, int timeout_ms)
{
    struct epoll_event events[EVENTS_PER_WAIT];
    int count = epoll_wait(load->epoll_fd, events, EVENTS_PER_WAIT, timeout_ms);

    if (count < 0)
        return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++)
        serve_client(load, events[i].data.ptr, events[i].events);
    return 0;
}

static void announce_ready(struct load *load, int64_t now_ns)
{
    load->ready_ns = now_ns;
    load->result.connect_seconds = (double)(now_ns - load->started_ns) / (double)NS_PER_SECOND;
    fprintf(stderr, "READY connected=%ld failed=%ld seconds=%.2f\n", load->result.connected, load->result.failed,
            load->result.connect_seconds);
}

static void announce_done(struct load *load, int64_t now_ns)
{
    load->done_ns = now_ns;
    fprintf(stderr, "DONE complete=%ld\n", load->result.complete);
}

/* All that can still become complete is complete. */
static bool nothing_to_wait_for(const struct load *load)
{
    return load->options.expect > 0 &&
           load->result.complete + load->given_up + load->options.slow + load->result.failed >= load->options.streams;
}

static bool is_finished(struct load *load, int64_t now_ns)
{
    const struct options *options = &load->options;
    long settled = load->result.connected + load->result.failed;

    if (stopped)
        return true;
    if (!load->ready_ns) {
        if (settled == options->streams || now_ns - load->started_ns > options->connect_seconds * NS_PER_SECOND)
            announce_ready(load, now_ns);
        return false;
    }
    if (!load->done_ns) {
        bool late = now_ns - load->ready_ns > options->seconds * NS_PER_SECOND;

        if (late || nothing_to_wait_for(load))
            announce_done(load, now_ns);
        return late;
    }
    /* Whatever comes now is too much: the wait is for duplicates. */
    return now_ns - load->done_ns > options->linger_ms * NS_PER_MS;
}

static int run(struct load *load)
{
    int64_t now_ns = load->started_ns = tool_now_ns();
    int error = 0;

    while (!error && !is_finished(load, now_ns)) {
        bool opening = load->opened < load->options.streams;

        if (opening)
            open_due_clients(load, now_ns);
        error = serve_ready_clients(load, opening ? 1 : 50);
        now_ns = tool_now_ns();
    }
    return error;
}

static int report(struct load *load)
{
    for (long i = 0; i < load->opened; i++) {
        struct client *client = &load->clients[i];

        if (client->state == REQUESTED || client->state == CONNECTING)
            count_failure(load, client, "never ready", ETIMEDOUT);
        else if (client->check && !client->slow)
            stream_check_finish(client->check);
    }
    if (load->result.complete < load->options.streams - load->options.slow)
        load->result.complete_seconds = 0;
    return load_report_print(&load->result, &load->tally);
}

static int load_init(struct load *load)
{
    long limit;
    int error = tool_raise_descriptor_limit(&limit);

    if (!error && *load->options.tokens) {
        error = token_list_read(load->options.tokens, &load->tokens);
        if (error)
            fprintf(stderr, "the tokens of %s cannot be read\n", load->options.tokens);
    }
    if (error)
        return error;
    if (limit < load->options.streams + SPARE_DESCRIPTORS) {
        fprintf(stderr, "the limit of %ld descriptors is too low\n", limit);
        return -EMFILE;
    }
    load->result.streams = load->options.streams;
    load->tally.warmup_ns = load->options.warmup_ms * NS_PER_MS;
    load->tally.latency = histogram_new();
    load->result.catch_up = load->catch_up = histogram_new();
    load->clients = calloc((size_t)load->options.streams, sizeof *load->clients);
    load->buffer = malloc(READ_BUFFER_BYTES);
    if (!load->tally.latency || !load->catch_up || !load->clients || !load->buffer)
        return -ENOMEM;
    for (long i = 0; i < load->options.streams; i++)
        load->clients[i].fd = -1;
    load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    return load->epoll_fd < 0 ? -errno : 0;
}

static void load_release(struct load *load)
{
    for (long i = 0; load->clients && i < load->options.streams; i++) {
        if (load->clients[i].fd >= 0)
            close(load->clients[i].fd);
        stream_check_free(load->clients[i].check);
    }
    if (load->epoll_fd >= 0)
        close(load->epoll_fd);
    token_list_free(load->tokens);
    free(load->clients);
    free(load->buffer);
    histogram_free(load->tally.latency);
    histogram_free(load->catch_up);
}

static int parse_options(struct options *options, int argc, char **argv)
{
    const struct tool_option table[] = {
        {"port", "the server's port on 127.0.0.1", &options->port, 1, 65535, NULL},
        {"path", "request target; the company's number is appended", NULL, 0, 0, &options->path},
        {"streams", "streams to open", &options->streams, 1, 50000, NULL},
        {"companies", "companies to spread them over: c0, c1 ...", &options->companies, 1, 65536, NULL},
        {"first-company", "number of the first of them", &options->first_company, 0, 1000000, NULL},
        {"rate", "streams to open a second", &options->rate, 1, 1000000, NULL},
        {"pending", "open only while fewer than so many are not ready yet; 0: don't wait for them", &options->pending,
         0, 50000, NULL},
        {"slow", "how many of them never read", &options->slow, 0, 50000, NULL},
        {"plain", "1: ready with the response's head, for servers that know no stream.ready", &options->plain, 0, 1,
         NULL},
        {"first", "number of the first event to come", &options->first, 0, 1000000000, NULL},
        {"expect", "events that each stream must get; ends when all have; 0: runs out the time", &options->expect, 0,
         1000000000, NULL},
        {"warmup-ms", "latencies of this first part are left out", &options->warmup_ms, 0, 60000, NULL},
        {"linger-ms", "go on reading when all is there", &options->linger_ms, 0, 60000, NULL},
        {"seconds", "limit from READY on", &options->seconds, 1, 3600, NULL},
        {"connect-seconds", "limit until READY", &options->connect_seconds, 1, 600, NULL},
        {"last-event-id", "resume from here; measures the time to catch up", NULL, 0, 0, &options->last_event_id},
        {"gzip", "1: the streams may be compressed", &options->gzip, 0, 1, NULL},
        {"tokens", "file with one token a line: each stream brings the next one", NULL, 0, 0, &options->tokens},
    };

    return tool_parse_options("sseload: opens event streams and checks what arrives.", table,
                              sizeof table / sizeof table[0], argc, argv);
}

int main(int argc, char **argv)
{
    struct load load = {
        .options = {.port = 3007,
                    .path = "/stream/updates?companyId=c",
                    .streams = 100,
                    .companies = 1,
                    .rate = 2000,
                    .warmup_ms = 1000,
                    .linger_ms = 500,
                    .seconds = 10,
                    .connect_seconds = 60,
                    .last_event_id = "",
                    .tokens = ""},
        .epoll_fd = -1,
    };
    struct sigaction action = {.sa_handler = on_signal};
    int error = parse_options(&load.options, argc, argv);

    if (error)
        return error < 0 ? 2 : 0;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    error = load_init(&load);
    if (!error)
        error = run(&load);
    if (!error)
        error = report(&load);
    if (error)
        fprintf(stderr, "sseload: %s\n", strerror(-error));
    load_release(&load);
    return error ? 1 : 0;
}
