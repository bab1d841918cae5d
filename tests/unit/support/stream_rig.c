#include "support/stream_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/fake_clock.h"
#include "support/sse_reader.h"

enum { STORY_MAX = 16384, MEBIBYTE = 1024 * 1024 };

static char story[STORY_MAX];
static size_t story_size;

void stream_rig_init(struct stream_rig *rig, const struct stream_rig_options *options)
{
    memset(rig, 0, sizeof *rig);
    fake_clock_set_ms(INT64_C(1700000000000));
    rig->metrics = metrics_new();
    rig->registry = registry_new(1000, 1, rig->metrics);
    rig->worker = worker_rig_new(&(struct worker_rig_options){
        .hub_worker = &rig->hub_worker,
        .registry = rig->registry,
        .metrics = rig->metrics,
        .buffer_events = options->buffer_events > 0 ? options->buffer_events : 100,
        .buffer_bytes = options->buffer_bytes > 0 ? options->buffer_bytes : MEBIBYTE,
        .recent_events = options->ring_events > 0 ? options->ring_events : 1000,
        .recent_bytes = options->ring_bytes > 0 ? options->ring_bytes : MEBIBYTE,
        .refill = options->refill,
        .drain_spread_seconds = options->drain_spread_seconds,
        .max_stream_age_seconds = options->max_stream_age_seconds,
    });
    bridge_rig_init(&rig->bridge, &(struct bridge_rig_options){
                                      .state = STORE_READY,
                                      .recent_events = options->recent_events,
                                      .events_per_second = options->events_per_second,
                                      .workers = &rig->hub_worker,
                                      .worker_count = 1,
                                      .metrics = rig->metrics,
                                  });
}

void stream_rig_release(struct stream_rig *rig)
{
    bridge_rig_release(&rig->bridge);
    worker_rig_free(rig->worker);
    worker_rig_forget_asked();
    for (size_t i = 0; i < rig->count; i++)
        fake_socket_free(rig->sockets[i]);
    registry_free(rig->registry);
    metrics_free(rig->metrics);
}

struct fake_socket *stream_rig_open(struct stream_rig *rig, const char *company, bool chunked, const char *requested,
                                    size_t capacity)
{
    struct fake_socket *socket = fake_socket_new(capacity);

    if (rig->count == STREAM_RIG_SOCKETS)
        abort();
    rig->sockets[rig->count++] = socket;
    worker_rig_open(rig->worker, socket, company, chunked, requested);
    return socket;
}

void stream_rig_publish(struct stream_rig *rig, const char *company, int first, int last)
{
    for (int i = first; i <= last; i++)
        bridge_rig_publish(&rig->bridge, company, i);
    bridge_rig_flush(&rig->bridge);
}

void stream_rig_turn(struct stream_rig *rig)
{
    struct fake_socket *open[STREAM_RIG_SOCKETS];

    for (size_t i = 0; i < rig->count; i++)
        open[i] = rig->sockets[i]->closed ? NULL : rig->sockets[i];
    worker_rig_turn(rig->worker, open, rig->count);
}

void stream_rig_settle(struct stream_rig *rig)
{
    for (int quiet = 0; quiet < 3; quiet++) {
        if (worker_rig_is_busy(rig->worker) || worker_rig_asked() > 0)
            quiet = 0;
        while (worker_rig_asked() > 0)
            worker_rig_answer(&rig->bridge);
        bridge_rig_settle(&rig->bridge);
        stream_rig_turn(rig);
    }
}

void stream_rig_read(struct fake_socket *socket)
{
    const char *bytes;

    fake_socket_read(socket, SIZE_MAX, &bytes);
}

struct fake_socket *stream_rig_open_ready(struct stream_rig *rig, bool chunked)
{
    struct fake_socket *client = stream_rig_open(rig, "acme", chunked, NULL, LOTS_OF_ROOM);

    stream_rig_settle(rig);
    stream_rig_read(client);
    return client;
}

void stream_rig_publish_singly(struct stream_rig *rig, int first, int last)
{
    for (int i = first; i <= last; i++) {
        stream_rig_publish(rig, "acme", i, i);
        stream_rig_settle(rig);
    }
}

void stream_rig_id_of(struct stream_rig *rig, int number, char id[EVENT_ID_SIZE])
{
    event_id_format("metrics.calculated", fake_store_at(rig->bridge.store, "acme", (size_t)number - 1), id);
}

void stream_rig_read_all(struct stream_rig *rig, struct fake_socket *socket)
{
    fake_socket_set_capacity(socket, LOTS_OF_ROOM);
    stream_rig_settle(rig);
    stream_rig_read(socket);
}

/* The story. */

static void tell(const char *word, const char *detail)
{
    int size =
        snprintf(story + story_size, sizeof story - story_size, "%s%s%s", story_size > 0 ? " " : "", word, detail);

    if (size < 0 || (size_t)size >= sizeof story - story_size)
        abort();
    story_size += (size_t)size;
}

/* The text of a member behind its key, up to the end of a string, number or null. */
static const char *member(const char *data, const char *key, char text[64])
{
    const char *at = strstr(data, key);

    if (!at)
        return "?";
    at += strlen(key);
    snprintf(text, 64, "%.*s", (int)strcspn(at, "\",}"), at);
    return text;
}

static void tell_event(const struct sse_block *block)
{
    char text[64];
    char more[64];
    char gap[160];

    if (strcmp(block->event, "stream.ready") == 0) {
        tell("ready", "");
    } else if (strcmp(block->event, "stream.gap") == 0) {
        snprintf(gap, sizeof gap, "gap(%s,%s)", member(block->data, "\"reason\":\"", text),
                 member(block->data, "\"missed\":", more));
        tell(gap, "");
    } else if (strcmp(block->event, "stream.store") == 0) {
        tell(member(block->data, "\"state\":\"", text), "");
    } else if (strcmp(block->event, "stream.expiring") == 0) {
        tell("expiring", "");
    } else if (strcmp(block->event, "stream.closing") == 0) {
        snprintf(gap, sizeof gap, "closing(%s)", member(block->data, "\"reason\":\"", text));
        tell(gap, "");
    } else {
        tell(member(block->data, "\"n\":", text), "");
    }
}

static void on_block(const struct sse_block *block, void *context)
{
    struct event_position position;
    char seq[32];

    (void)context;
    if (block->is_comment) {
        tell("beat", "");
    } else if (block->has_event) {
        tell_event(block);
    } else if (block->has_id) {
        position.seq = 0;
        (void)event_id_parse(block->id, strlen(block->id), &position);
        snprintf(seq, sizeof seq, "%llu", (unsigned long long)position.seq);
        tell("@", seq);
    }
}

const char *stream_rig_story(const struct fake_socket *socket, bool chunked)
{
    static struct sse_reader reader;

    story[0] = '\0';
    story_size = 0;
    sse_reader_init(&reader, chunked, on_block, NULL);
    sse_reader_feed(&reader, socket->bytes, socket->read);
    if (reader.error)
        tell("error: ", reader.error);
    if (reader.state == SSE_ENDED)
        tell("end", "");
    if (reader.state == SSE_BARE && reader.gzip_ended)
        tell("end", "");
    sse_reader_release(&reader);
    return story;
}

void stream_rig_assert_story(struct fake_socket *socket, bool chunked, const char *expected)
{
    stream_rig_read(socket);
    assert_string_equal(stream_rig_story(socket, chunked), expected);
}
