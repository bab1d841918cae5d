#include "stream_check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_body.h"
#include "inflater.h"
#include "sse_lines.h"

enum event_name { NAME_OTHER, NAME_GAP, NAME_READY, NAME_CONTROL };

struct stream_check {
    struct tally *tally;
    struct http_body *body;
    struct inflater *inflater; /* NULL: the body is not compressed, or has not begun */
    struct sse_lines *lines;
    int64_t now_ns;

    int64_t next; /* the number that has to come */
    int64_t end;  /* complete when next gets here; -1: never */
    int64_t hole_first, hole_end;
    bool gap_told; /* a stream.gap came since the last event */
    bool told_all; /* and each of those said how many are missing */
    int64_t told;  /* so many in all */
    bool ready;

    /* The event whose lines are arriving. */
    enum event_name name;
    bool has_data, is_foreign;
    int64_t number, published_ns; /* -1: not in the data */
    int64_t missed;               /* of a stream.gap; -1: it does not say */

    size_t prefix_size;
    char prefix[48]; /* what the data of this company's events starts with */
};

static int on_body(void *context, const char *bytes, size_t size);
static void on_line(void *context, enum sse_line kind, const char *value, size_t size);

static void clear_event(struct stream_check *check)
{
    check->name = NAME_OTHER;
    check->has_data = false;
    check->is_foreign = false;
    check->number = -1;
    check->published_ns = -1;
    check->missed = -1;
}

struct stream_check *stream_check_new(struct tally *tally, int company, int64_t first, int64_t expect)
{
    struct stream_check *check = calloc(1, sizeof *check);

    if (!check)
        return NULL;
    check->tally = tally;
    check->next = first;
    check->end = expect > 0 ? first + expect : -1;
    check->prefix_size = (size_t)snprintf(check->prefix, sizeof check->prefix, "{\"companyId\":\"c%d\",", company);
    clear_event(check);
    check->body = http_body_new(on_body, check);
    check->lines = sse_lines_new(on_line, check);
    if (!check->body || !check->lines) {
        stream_check_free(check);
        return NULL;
    }
    return check;
}

void stream_check_free(struct stream_check *check)
{
    if (!check)
        return;
    http_body_free(check->body);
    inflater_free(check->inflater);
    sse_lines_free(check->lines);
    free(check);
}

int stream_check_feed(struct stream_check *check, const char *bytes, size_t size, int64_t now_ns)
{
    check->now_ns = now_ns;
    return http_body_feed(check->body, bytes, size);
}

static int on_text(void *context, const char *text, size_t size)
{
    struct stream_check *check = context;

    return sse_lines_feed(check->lines, text, size);
}

static int on_body(void *context, const char *bytes, size_t size)
{
    struct stream_check *check = context;

    check->tally->body_bytes += size;
    if (http_body_status(check->body) != 200)
        return 0; /* an error page is no event stream */
    if (!http_body_is_gzip(check->body))
        return on_text(check, bytes, size);
    if (!check->inflater)
        check->inflater = inflater_new(on_text, check);
    return check->inflater ? inflater_feed(check->inflater, bytes, size) : -ENOMEM;
}

/* Reads the number behind `key`. Gives where it ends, or NULL. */
static const char *read_number(const char *from, const char *end, const char *key, int64_t *ret_number)
{
    size_t key_size = strlen(key);
    const char *at = memmem(from, (size_t)(end - from), key, key_size);
    int64_t number = 0;

    if (!at)
        return NULL;
    at += key_size;
    if (at == end || *at < '0' || *at > '9')
        return NULL;
    for (; at < end && *at >= '0' && *at <= '9' && number < INT64_MAX / 16; at++)
        number = number * 10 + (*at - '0');
    *ret_number = number;
    return at;
}

static void read_data(struct stream_check *check, const char *value, size_t size)
{
    const char *end = value + size;
    const char *at;

    if (check->name == NAME_GAP)
        read_number(value, end, "\"missed\":", &check->missed);
    if (check->has_data || check->name != NAME_OTHER) {
        check->has_data = true;
        return; /* the publisher's events have one line */
    }
    check->has_data = true;
    if (size < check->prefix_size || memcmp(value, check->prefix, check->prefix_size) != 0)
        check->is_foreign = true;
    at = read_number(value, end, "\"n\":", &check->number);
    if (at)
        read_number(at, end, "\"t\":", &check->published_ns);
}

static enum event_name name_of(const char *value, size_t size)
{
    if (size < 7 || memcmp(value, "stream.", 7) != 0)
        return NAME_OTHER;
    if (size == 10 && memcmp(value, "stream.gap", 10) == 0)
        return NAME_GAP;
    if (size == 12 && memcmp(value, "stream.ready", 12) == 0)
        return NAME_READY;
    return NAME_CONTROL;
}

/* ret_untold: what counts them where no gap told of them. */
static void count_missing(struct stream_check *check, int64_t missing, uint64_t *ret_untold)
{
    *(check->gap_told ? &check->tally->missing_told : ret_untold) += (uint64_t)missing;
}

static void count_told(struct stream_check *check)
{
    if (!check->gap_told) {
        check->told_all = true;
        check->told = 0;
    }
    check->gap_told = true;
    check->told_all &= check->missed >= 0;
    check->told += check->missed;
}

/* An old number is a late one if it fills the last hole; otherwise it was seen before. */
static void count_old_number(struct stream_check *check)
{
    if (check->number >= check->hole_first && check->number < check->hole_end)
        check->tally->disorder++;
    else
        check->tally->duplicates++;
}

static void count_latency(struct stream_check *check)
{
    struct tally *tally = check->tally;

    if (tally->measured_from_ns == 0)
        tally->measured_from_ns = check->published_ns + tally->warmup_ns;
    if (check->published_ns >= tally->measured_from_ns)
        histogram_record(tally->latency, check->now_ns - check->published_ns);
}

static void count_delivery(struct stream_check *check)
{
    if (check->number < check->next) {
        count_old_number(check);
        return;
    }
    if (check->number > check->next) {
        count_missing(check, check->number - check->next, &check->tally->missing_untold);
        check->hole_first = check->next;
        check->hole_end = check->number;
    }
    if (check->gap_told && check->told_all && check->told != check->number - check->next)
        check->tally->miscounted++;
    check->next = check->number + 1;
    check->gap_told = false;
    check->tally->deliveries++;
    count_latency(check);
}

static void end_event(struct stream_check *check)
{
    if (!check->has_data)
        return; /* `retry:` or a bare `id:` */
    switch (check->name) {
    case NAME_GAP:
        check->tally->gap_events++;
        count_told(check);
        break;
    case NAME_READY:
        check->ready = true;
        break;
    case NAME_CONTROL:
        break;
    case NAME_OTHER:
        if (check->number < 0 || check->published_ns < 0)
            check->tally->unreadable++;
        else if (check->is_foreign)
            check->tally->foreign++;
        else
            count_delivery(check);
        break;
    }
}

static void on_line(void *context, enum sse_line kind, const char *value, size_t size)
{
    struct stream_check *check = context;

    switch (kind) {
    case SSE_COMMENT:
        check->tally->heartbeats++;
        break;
    case SSE_EVENT:
        check->name = name_of(value, size);
        break;
    case SSE_DATA:
        read_data(check, value, size);
        break;
    case SSE_END:
        end_event(check);
        clear_event(check);
        break;
    case SSE_ID:
    case SSE_OTHER:
        break;
    }
}

int stream_check_status(const struct stream_check *check)
{
    return http_body_status(check->body);
}

bool stream_check_ready(const struct stream_check *check)
{
    return check->ready;
}

bool stream_check_complete(const struct stream_check *check)
{
    return check->end >= 0 && check->next >= check->end;
}

void stream_check_finish(struct stream_check *check)
{
    if (check->end <= check->next)
        return;
    count_missing(check, check->end - check->next, &check->tally->missing_at_end);
    check->next = check->end;
}
