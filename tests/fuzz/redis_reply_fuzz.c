#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "replay/redis_handshake.h"
#include "replay/redis_request.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/resp.h"

/* What asked, and how often it was answered. */
struct asked {
    int answers;
};

static void check_position(struct event_position position)
{
    char id[EVENT_ID_SIZE];
    struct event_position parsed;
    size_t size = event_id_format("metrics.a", position, id);

    /* It goes to clients, who come back with it. */
    MUST(event_id_parse(id, size, &parsed) && event_position_compare(parsed, position) == 0);
}

static void check_head(const struct store_head *head)
{
    char subject[EVENT_SUBJECT_MAX + 1];

    MUST(head->exists == (head->position.ms > 0));
    check_position(head->position);
    check_position(head->floor);
    MUST(head->since_ms <= EVENT_NUMBER_MAX);
    MUST(head->source <= EVENT_NUMBER_MAX);
    event_id_subject(head->subject, strlen(head->subject), subject);
    MUST(strcmp(subject, head->subject) == 0);
}

static void on_append(void *context, int status)
{
    struct asked *asked = context;

    MUST(status == 0 || status == -EAGAIN || status == -EPERM);
    asked->answers++;
}

static void on_claim(void *context, int status, const struct store_lease *lease)
{
    struct asked *asked = context;

    MUST((status == 0 && lease) || (status == -EAGAIN && !lease));
    if (lease)
        MUST(lease->epoch >= (uint64_t)lease->mine && lease->epoch <= EVENT_NUMBER_MAX && lease->left_ms >= 0);
    asked->answers++;
}

static void on_load(void *context, int status, const struct store_head *head)
{
    struct asked *asked = context;

    MUST((status == 0 && head) || (status == -EAGAIN && !head));
    if (head)
        check_head(head);
    asked->answers++;
}

static void on_read(void *context, int status, const struct store_page *page)
{
    struct asked *asked = context;

    MUST((status == 0 && page) || (status == -EAGAIN && !page));
    asked->answers++;
    if (!page)
        return;
    check_head(&page->head);
    check_position(page->oldest);
    MUST(memchr(page->oldest_subject, '\0', sizeof page->oldest_subject) != NULL);
    for (size_t i = 0; i < page->count; i++) {
        MUST(page->frames[i] != NULL && frame_position(page->frames[i]).ms > 0);
        check_position(frame_position(page->frames[i]));
    }
}

static void on_count(void *context, int status, const struct store_count *counts, size_t count)
{
    struct asked *asked = context;

    MUST(status == 0 || (status == -EAGAIN && count == 0));
    for (size_t i = 0; i < count; i++)
        MUST(strlen(counts[i].company) <= 128);
    asked->answers++;
}

static void on_place(void *context, int status, uint64_t sequence)
{
    struct asked *asked = context;

    MUST(status == 0 || (status == -EAGAIN && sequence == 0));
    MUST(sequence <= EVENT_NUMBER_MAX);
    asked->answers++;
}

static void on_handshake(void *context, const struct redis_handshake *result)
{
    struct asked *asked = context;

    MUST(memchr(result->error, '\0', sizeof result->error) != NULL);
    MUST(result->noted_hole_ms <= EVENT_NUMBER_MAX);
    MUST(result->id <= EVENT_NUMBER_MAX);
    asked->answers++;
}

static void on_error(void *context, const char *error, bool is_write)
{
    (void)context;
    (void)is_write;
    MUST(error != NULL);
}

static struct redis_request *append_request(struct asked *asked)
{
    struct frame_event event = {.kind = FRAME_EVENT,
                                .subject = "metrics.a",
                                .event = "metric_updated",
                                .payload = "{}",
                                .payload_size = 2,
                                .position = {.ms = 1699999999999, .seq = 7}};
    struct frame *frame = frame_new_event(&event);
    struct store_append append = {.company = "acme", .frames = &frame, .count = 1};
    struct redis_request *request = redis_request_append(&append, 1, on_append, asked);

    frame_unref(frame);
    return request;
}

/* Sends what the letter names. */
static void ask(struct redis_requests *requests, char letter, struct asked *asked)
{
    struct store_read read = {.company = "acme", .after = {.ms = 1, .seq = 1}, .max_events = 100, .max_bytes = 65536};
    struct store_claim claim = {.holder = "fuzz", .epoch = 1, .lease_ms = 1000};

    if (letter == 'o')
        MUST(redis_request_send(requests, redis_request_claim(&claim, on_claim, asked)) == 0);
    else if (letter == 'a')
        MUST(redis_request_send(requests, append_request(asked)) == 0);
    else if (letter == 'l')
        MUST(redis_request_send(requests, redis_request_load("acme", 1, on_load, asked)) == 0);
    else if (letter == 'p')
        MUST(redis_request_send(requests, redis_request_place("EVENTS", on_place, asked)) == 0);
    else if (letter == 'c')
        MUST(redis_request_send(requests, redis_request_count(100, on_count, asked)) == 0);
    else if (letter == 'h')
        MUST(redis_handshake_start(requests, on_handshake, asked) == 0);
    else
        MUST(redis_request_send(requests, redis_request_read(&read, on_read, asked)) == 0);
}

static void run(char letter, const uint8_t *replies, size_t size)
{
    struct asked asked = {0};
    struct redis_requests requests = {
        .limits = {.ttl_ms = 1000, .max_events = 100, .max_bytes = 65536},
        .id = 12345,
        .on_error = on_error,
        .context = &asked,
    };
    int ends[2];
    int status;

    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    MUST(send(ends[1], replies, size, MSG_NOSIGNAL) == (ssize_t)size);
    requests.connection = redis_connection_new(ends[0], NULL, 1000);
    MUST(requests.connection != NULL);
    ask(&requests, letter, &asked);
    status = redis_connection_run(requests.connection);
    MUST(status == 0 || status == -EPROTO);
    MUST(asked.answers <= 1);
    /* Whatever came: each request has exactly one answer, at the latest at the end of the connection. */
    redis_connection_free(requests.connection);
    MUST(asked.answers == 1);
    for (size_t i = 0; i < REDIS_SCRIPTS_NAMED; i++)
        MUST(memchr(requests.scripts[i], '\0', REDIS_SHA_SIZE) != NULL);
    close(ends[1]);
}

/* The input: a letter for the request, the end of its line, and what Redis sends. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size >= 3 && size <= RESP_MAX_BYTES && data[1] == '\n' && !resp_promises_much(data + 2, size - 2))
        run((char)data[0], data + 2, size - 2);
    return 0;
}
