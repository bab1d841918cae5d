#include "bridge/stream_reader.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/lane.h"
#include "bridge/stream_ack.h"
#include "bridge/stream_api.h"
#include "bridge/stream_link.h"
#include "bridge/stream_position.h"
#include "core/clock.h"
#include "core/thread.h"

#define NS_PER_MS INT64_C(1000000)

enum {
    BATCH_MAX = 1024, /* messages asked for at once; at most twice that are on their way */
    SILENCE_MS = 5 * STREAM_API_HEARTBEAT_MS,
    RETRY_MIN_MS = 50,
    RETRY_MAX_MS = 2000,
    PROBE_MS = 1000, /* between two looks at a stream that is not read */
    REPORT_MS = 30000,
    NAME_SIZE = 64,
    INBOX_SIZE = 128,
};

struct stream_reader {
    struct stream_reader_options options;
    pthread_t thread;
    size_t batch;
    /* Guards what follows, between our thread, the library's, the source's and the taker of the lane. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct lane *lane;
    bool is_stopping;

    /* The connection. */
    natsConnection *connection; /* NULL: none */
    jsCtx *js;
    natsInbox *inbox;  /* what we subscribe to, with a token behind it */
    bool is_in_call;   /* our thread uses the connection */
    bool is_made;      /* the stream was made, or changed, as the options say */
    unsigned requests; /* on this connection: a token of the inbox for each */

    /* Reading. */
    bool is_wanted;
    unsigned starts; /* so that a call knows whether what it was for has changed */
    struct stream_position position;
    bool is_bound; /* there is a consumer, and nothing of it was missed */
    char consumer[NAME_SIZE];
    unsigned consumers;         /* made so far: a name for each */
    uint64_t consumer_sequence; /* of the last message that it gave */
    size_t asked;               /* messages asked for that have not come */
    int64_t alive_ns;           /* when anything of it was heard last */
    bool is_starved;            /* the lane had no room for what would be asked for */
    uint64_t end;               /* the last place when reading began; 0: not known yet */
    bool has_reached_end;       /* and that was read */
    uint64_t taken;             /* the last place that was taken out of the lane */

    /* Trying. */
    int retry_ms;        /* how long to wait behind the next failure */
    int64_t next_ns;     /* not before */
    int64_t reported_ns; /* when the present failure was told; 0: not yet */
};

/* Telling. The lock must be held. */

static void set_ok(struct stream_reader *reader, bool ok)
{
    if (ok && reader->reported_ns != 0)
        log_write(reader->options.log, LOG_LEVEL_INFO, "The stream is there again",
                  LOG_FIELDS(log_text("stream", reader->options.stream)));
    if (ok)
        reader->reported_ns = 0;
    metrics_set(reader->options.metrics, METRIC_STREAM_CONNECTED, ok);
}

static void back_off(struct stream_reader *reader)
{
    reader->next_ns = clock_monotonic_ns() + reader->retry_ms * NS_PER_MS;
    reader->retry_ms = reader->retry_ms * 2 < RETRY_MAX_MS ? reader->retry_ms * 2 : RETRY_MAX_MS;
}

static void fail(struct stream_reader *reader, struct stream_api_result result)
{
    int64_t now_ns = clock_monotonic_ns();

    back_off(reader);
    /* NATS is away: that is told elsewhere. */
    if (!reader->connection || natsConnection_Status(reader->connection) != NATS_CONN_STATUS_CONNECTED)
        return;
    set_ok(reader, false);
    if (reader->reported_ns != 0 && now_ns - reader->reported_ns < REPORT_MS * NS_PER_MS)
        return;
    reader->reported_ns = now_ns;
    log_write(reader->options.log, LOG_LEVEL_ERROR, "The stream cannot be read: tried again for ever",
              LOG_FIELDS(log_text("stream", reader->options.stream), log_text("reason", stream_api_reason(result)),
                         log_number("code", (int64_t)result.code)));
}

/* A sign of life of the consumer. */
static void live(struct stream_reader *reader)
{
    reader->alive_ns = clock_monotonic_ns();
    reader->retry_ms = RETRY_MIN_MS;
}

/* The consumer cannot be trusted any more: another one goes on behind the last message that came. */
static void unbind(struct stream_reader *reader)
{
    reader->is_bound = false;
    pthread_cond_broadcast(&reader->changed);
}

static void lose(struct stream_reader *reader, const char *reason)
{
    if (!reader->is_bound)
        return;
    metrics_add(reader->options.metrics, METRIC_STREAM_RESTARTS, 1);
    log_write(reader->options.log, LOG_LEVEL_WARN, "Reading of the stream begins anew behind its last message",
              LOG_FIELDS(log_text("stream", reader->options.stream), log_text("reason", reason),
                         log_number("sequence", (int64_t)reader->position.last)));
    unbind(reader);
    back_off(reader);
}

/* Messages. The lock must be held. */
static bool is_of_consumer(const struct stream_reader *reader, const struct stream_ack *ack)
{
    return strlen(reader->consumer) == ack->consumer_size &&
           memcmp(reader->consumer, ack->consumer, ack->consumer_size) == 0;
}

/* The message, which is the stream's next, goes into the lane. Returns whether it is there. */
static bool add(struct stream_reader *reader, natsMsg *message, const struct stream_ack *ack)
{
    struct stream_position position = reader->position;
    uint64_t missing = stream_position_advance(&position, ack->sequence, ack->stamp_ns);
    struct source_item item = {
        .message = (struct source_message *)message,
        .received_ns = clock_monotonic_ns(),
        .sequence = position.base + ack->sequence,
        .stamp_ms = ack->stamp_ns / NS_PER_MS,
    };
    bool fits = (size_t)natsMsg_GetDataLength(message) <= reader->options.max_pending_bytes;
    bool added;

    if (missing > 0)
        lane_add_hole(reader->lane, item.received_ns, (int64_t)missing);
    added = lane_add(reader->lane, &item, (size_t)natsMsg_GetDataLength(message));
    if (fits && !added) {
        /* It is read again, once there is room; or memory. */
        reader->is_starved = lane_count(reader->lane) > 0;
        if (reader->is_starved)
            unbind(reader);
        else
            lose(reader, "there was no memory for a message");
        return false;
    }
    if (!added) {
        lane_add_hole(reader->lane, item.received_ns, 1);
        metrics_add(reader->options.metrics, METRIC_DROPPED_SOURCE, 1);
    }
    reader->position = position;
    if (ack->pending == 0 || position.base + ack->sequence >= reader->end)
        reader->has_reached_end = true;
    metrics_add(reader->options.metrics, METRIC_EVENTS_RECEIVED, 1);
    return added;
}

static bool take_event(struct stream_reader *reader, natsMsg *message, const struct stream_ack *ack)
{
    bool added;

    if (!reader->is_bound || !is_of_consumer(reader, ack))
        return false;
    live(reader);
    if (ack->consumer_sequence != reader->consumer_sequence + 1) {
        lose(reader, "a message was lost on its way");
        return false;
    }
    reader->consumer_sequence++;
    if (reader->asked > 0)
        reader->asked--;
    added = add(reader, message, ack);
    metrics_set(reader->options.metrics, METRIC_STREAM_PENDING, (int64_t)ack->pending);
    if (reader->asked == reader->batch / 2 || reader->asked == 0)
        pthread_cond_broadcast(&reader->changed);
    return added;
}

/* What the consumer says of a request: its inbox ends with `<number of the consumer>.<number of the request>`. */
static void take_status(struct stream_reader *reader, natsMsg *message)
{
    const char *token = natsMsg_GetSubject(message) + strlen(reader->inbox);
    const char *detail = NULL;
    uint64_t number = 0;

    if (!reader->is_bound || *token != '.' || strtoul(token + 1, NULL, 10) != reader->consumers)
        return;
    switch (stream_api_read_status(message, &number, &detail)) {
    case STREAM_API_NO_STATUS:
        break;
    case STREAM_API_ALIVE:
        live(reader);
        if (number > reader->consumer_sequence)
            lose(reader, "a message was lost on its way");
        break;
    case STREAM_API_EXPIRED:
        live(reader);
        reader->asked = reader->asked > number ? reader->asked - (size_t)number : 0;
        pthread_cond_broadcast(&reader->changed);
        break;
    case STREAM_API_GONE:
        lose(reader, detail);
        break;
    }
}

static void on_message(natsConnection *connection, natsSubscription *subscription, natsMsg *message, void *context)
{
    struct stream_reader *reader = context;
    struct stream_ack ack;
    bool added = false;

    (void)connection;
    (void)subscription;
    pthread_mutex_lock(&reader->lock);
    if (stream_ack_parse(natsMsg_GetReply(message), &ack) == 0)
        added = take_event(reader, message, &ack);
    else if (reader->inbox && strncmp(natsMsg_GetSubject(message), reader->inbox, strlen(reader->inbox)) == 0)
        take_status(reader, message);
    lane_unlock(reader->lane, &reader->lock);
    if (!added)
        natsMsg_Destroy(message);
}

/* Calls: made without the lock, on a connection that stays meanwhile. The lock must be held around. */

static void begin_call(struct stream_reader *reader)
{
    reader->is_in_call = true;
    pthread_mutex_unlock(&reader->lock);
}

static void end_call(struct stream_reader *reader)
{
    pthread_mutex_lock(&reader->lock);
    reader->is_in_call = false;
    pthread_cond_broadcast(&reader->changed);
}

/* Looks at the stream, and makes it if that is wanted and was not done. */
static struct stream_api_result look(struct stream_reader *reader, struct stream_extent *ret_extent)
{
    bool is_to_make = reader->options.create && !reader->is_made;
    struct stream_api_result result;
    jsCtx *js = reader->js;

    begin_call(reader);
    result = stream_api_look(js, &reader->options, is_to_make, ret_extent);
    end_call(reader);
    reader->is_made = result.status == NATS_OK;
    return result;
}

/* Of a stream that is not read it is known whether it is there: another replica may have to be told that it is not. */
static void probe(struct stream_reader *reader)
{
    struct stream_extent extent;
    struct stream_api_result result = look(reader, &extent);

    if (reader->is_wanted)
        return;
    if (result.status != NATS_OK) {
        fail(reader, result);
        return;
    }
    set_ok(reader, true);
    reader->retry_ms = RETRY_MIN_MS;
    reader->next_ns = clock_monotonic_ns() + PROBE_MS * NS_PER_MS;
}

static void remove_consumer(struct stream_reader *reader)
{
    char inbox[INBOX_SIZE];

    if (!reader->connection || !reader->consumer[0])
        return;
    snprintf(inbox, sizeof inbox, "%s.0.0", reader->inbox);
    stream_api_remove_consumer(reader->connection, reader->options.stream, reader->consumer, inbox);
    reader->consumer[0] = '\0';
}

/* Finds where to go on in the stream as it is. False: that is not to be known now, or not wanted any more. */
static bool locate(struct stream_reader *reader)
{
    unsigned starts = reader->starts;
    struct stream_extent extent;
    struct stream_api_result result = look(reader, &extent);
    int64_t dropped;

    if (starts != reader->starts)
        return false;
    if (result.status != NATS_OK) {
        fail(reader, result);
        return false;
    }
    if (stream_position_locate(&reader->position, &extent, (uint64_t)clock_unix_ms() * 1000, &dropped))
        lane_add_hole(reader->lane, clock_monotonic_ns(), dropped);
    if (reader->end == 0)
        reader->end = reader->position.base + extent.last;
    return true;
}

static void bind(struct stream_reader *reader)
{
    struct stream_api_result result;
    struct stream_position position;
    char name[NAME_SIZE];
    uint64_t pending = 0;
    jsCtx *js = reader->js;
    unsigned starts;

    remove_consumer(reader);
    if (!locate(reader) || js != reader->js)
        return;
    position = reader->position;
    starts = reader->starts;
    snprintf(name, sizeof name, "sluice-%.32s-%u", strchr(reader->inbox, '.') + 1, ++reader->consumers);
    strcpy(reader->consumer, name);
    begin_call(reader);
    result = stream_api_make_consumer(js, reader->options.stream, name, &position, &pending);
    end_call(reader);
    if (starts != reader->starts || js != reader->js)
        return;
    if (result.status != NATS_OK) {
        fail(reader, result);
        return;
    }
    reader->consumer_sequence = 0;
    reader->asked = 0;
    reader->is_bound = true;
    reader->alive_ns = clock_monotonic_ns();
    if (pending == 0)
        reader->has_reached_end = true;
    set_ok(reader, true);
}

/* Asks for the next messages. */
static void request(struct stream_reader *reader)
{
    char inbox[INBOX_SIZE];

    snprintf(inbox, sizeof inbox, "%s.%u.%u", reader->inbox, reader->consumers, ++reader->requests);
    /* Silence is counted from here: nothing was promised before. */
    if (reader->asked == 0)
        reader->alive_ns = clock_monotonic_ns();
    if (stream_api_request(reader->connection, reader->options.stream, reader->consumer, inbox, reader->batch) ==
        NATS_OK)
        reader->asked += reader->batch;
    else
        lose(reader, "a request could not be sent");
}

/* The thread. The lock must be held. */

static bool has_room(struct stream_reader *reader)
{
    reader->is_starved = !lane_has_room(reader->lane, reader->asked + reader->batch);
    return !reader->is_starved;
}

/* What is due next; 0: something now. */
static int64_t deadline_ns(const struct stream_reader *reader)
{
    if (reader->is_bound)
        return reader->asked > 0 ? reader->alive_ns + SILENCE_MS * NS_PER_MS : INT64_MAX;
    return reader->next_ns;
}

static void wait(struct stream_reader *reader)
{
    int64_t until_ns = deadline_ns(reader);

    if (!reader->connection || until_ns == INT64_MAX || reader->is_starved)
        pthread_cond_wait(&reader->changed, &reader->lock);
    else
        (void)thread_wait_until(&reader->changed, &reader->lock, until_ns);
}

static void turn(struct stream_reader *reader)
{
    int64_t now_ns = clock_monotonic_ns();
    bool may_try = reader->connection && !reader->is_bound && now_ns >= reader->next_ns;

    if (may_try && !reader->is_wanted) {
        remove_consumer(reader);
        probe(reader);
    } else if (may_try && has_room(reader)) {
        bind(reader);
    } else if (reader->is_bound && reader->asked > 0 && now_ns >= deadline_ns(reader)) {
        lose(reader, "it is silent");
    } else if (reader->is_bound && reader->asked <= reader->batch / 2 && has_room(reader)) {
        request(reader);
    } else {
        wait(reader);
    }
}

static void *run(void *context)
{
    struct stream_reader *reader = context;

    pthread_mutex_lock(&reader->lock);
    while (!reader->is_stopping)
        turn(reader);
    pthread_mutex_unlock(&reader->lock);
    return NULL;
}

/* The connection. */

natsStatus stream_link_attach(struct stream_reader *reader, natsConnection *connection,
                              struct source_subscriptions *subscriptions)
{
    char subject[INBOX_SIZE];
    natsStatus status;

    pthread_mutex_lock(&reader->lock);
    status = natsInbox_Create(&reader->inbox);
    if (status == NATS_OK)
        status = stream_api_open(connection, &reader->js);
    /* Without them the connection is closed, and they are freed with it. */
    reader->connection = status == NATS_OK ? connection : NULL;
    reader->consumer[0] = '\0';
    reader->next_ns = 0;
    reader->is_made = false;
    unbind(reader);
    snprintf(subject, sizeof subject, "%s.*.*", status == NATS_OK ? reader->inbox : "");
    pthread_mutex_unlock(&reader->lock);
    if (status != NATS_OK)
        return status;
    return source_subscriptions_add(subscriptions, connection, subject, on_message, reader);
}

void stream_link_renew(struct stream_reader *reader)
{
    pthread_mutex_lock(&reader->lock);
    reader->next_ns = 0;
    unbind(reader);
    pthread_mutex_unlock(&reader->lock);
}

void stream_link_detach(struct stream_reader *reader)
{
    pthread_mutex_lock(&reader->lock);
    reader->connection = NULL;
    unbind(reader);
    while (reader->is_in_call)
        pthread_cond_wait(&reader->changed, &reader->lock);
    jsCtx_Destroy(reader->js);
    natsInbox_Destroy(reader->inbox);
    reader->js = NULL;
    reader->inbox = NULL;
    pthread_mutex_unlock(&reader->lock);
}

/* Starting and stopping. */

static void drop_items(struct stream_reader *reader)
{
    struct source_item item;

    while (lane_take(reader->lane, &item, 1) == 1)
        source_message_free(item.message);
}

static void set_wanted(struct stream_reader *reader, bool wanted)
{
    drop_items(reader);
    reader->is_wanted = wanted;
    reader->starts++;
    reader->has_reached_end = false;
    reader->end = 0;
    reader->taken = 0;
    reader->is_starved = false;
    reader->next_ns = 0;
    unbind(reader);
}

void stream_reader_start(struct stream_reader *reader, const struct stream_start *start)
{
    pthread_mutex_lock(&reader->lock);
    set_wanted(reader, true);
    reader->position = stream_position_of(start);
    pthread_mutex_unlock(&reader->lock);
}

void stream_reader_stop(struct stream_reader *reader)
{
    pthread_mutex_lock(&reader->lock);
    if (reader->is_wanted)
        set_wanted(reader, false);
    pthread_mutex_unlock(&reader->lock);
}

uint64_t stream_reader_base(struct stream_reader *reader)
{
    struct stream_position position;

    pthread_mutex_lock(&reader->lock);
    position = reader->position;
    pthread_mutex_unlock(&reader->lock);
    return position.is_shifted ? position.base : 0;
}

bool stream_reader_is_at_end(struct stream_reader *reader, uint64_t *ret_end)
{
    bool at_end;

    pthread_mutex_lock(&reader->lock);
    at_end = reader->has_reached_end && (lane_count(reader->lane) == 0 || reader->taken >= reader->end);
    if (at_end)
        *ret_end = reader->end;
    pthread_mutex_unlock(&reader->lock);
    return at_end;
}

int stream_reader_fd(const struct stream_reader *reader)
{
    return lane_fd(reader->lane);
}

size_t stream_reader_take(struct stream_reader *reader, struct source_item *items, size_t max)
{
    size_t count;

    pthread_mutex_lock(&reader->lock);
    count = lane_take(reader->lane, items, max);
    for (size_t i = 0; i < count; i++)
        if (items[i].sequence > 0)
            reader->taken = items[i].sequence;
    if (reader->is_starved && has_room(reader))
        pthread_cond_broadcast(&reader->changed);
    pthread_mutex_unlock(&reader->lock);
    return count;
}

size_t stream_reader_pending(struct stream_reader *reader)
{
    size_t count;

    pthread_mutex_lock(&reader->lock);
    count = lane_count(reader->lane);
    pthread_mutex_unlock(&reader->lock);
    return count;
}

static void destroy(struct stream_reader *reader)
{
    lane_free(reader->lane);
    pthread_cond_destroy(&reader->changed);
    pthread_mutex_destroy(&reader->lock);
    free(reader);
}

struct stream_reader *stream_reader_new(const struct stream_reader_options *options)
{
    struct stream_reader *reader = calloc(1, sizeof *reader);

    if (!reader)
        return NULL;
    reader->options = *options;
    reader->batch = options->max_pending_events / 4;
    if (reader->batch > BATCH_MAX)
        reader->batch = BATCH_MAX;
    reader->retry_ms = RETRY_MIN_MS;
    pthread_mutex_init(&reader->lock, NULL);
    thread_cond_init(&reader->changed);
    reader->lane = lane_new(options->max_pending_events, options->max_pending_bytes);
    if (reader->lane && thread_start(&reader->thread, "stream", run, reader) == 0)
        return reader;
    destroy(reader);
    return NULL;
}

void stream_reader_free(struct stream_reader *reader)
{
    if (!reader)
        return;
    pthread_mutex_lock(&reader->lock);
    reader->is_stopping = true;
    pthread_cond_broadcast(&reader->changed);
    pthread_mutex_unlock(&reader->lock);
    pthread_join(reader->thread, NULL);
    destroy(reader);
}
