#include "core/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <unistr.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "core/json.h"
#include "core/thread.h"

enum {
    WAITING_MAX_BYTES = 1024 * 1024,
    CLOSE_TIMEOUT_MS = 2000,
};

struct log {
    int fd;
    enum log_level level;
    bool as_json;
    pthread_t writer;
    /* Guards what follows. Lines are made outside of it and only copied under it. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct buffer waiting;
    int64_t dropped;
    bool stopping;
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

struct log_field log_text(const char *key, const char *text)
{
    return (struct log_field){.type = LOG_FIELD_TEXT, .key = key, .text = text};
}

struct log_field log_known(const char *key, const char *text)
{
    return log_text(key, text && *text ? text : NULL);
}

struct log_field log_number(const char *key, int64_t number)
{
    return (struct log_field){.type = LOG_FIELD_NUMBER, .key = key, .number = number};
}

/* Writes all of it, or gives up when stopping and the reader takes nothing for CLOSE_TIMEOUT_MS. */
static void write_all(struct log *log, const char *bytes, size_t size)
{
    while (size > 0) {
        struct pollfd writable = {.fd = log->fd, .events = POLLOUT};
        ssize_t written;
        bool stopping;

        if (poll(&writable, 1, CLOSE_TIMEOUT_MS) == 0) {
            pthread_mutex_lock(&log->lock);
            stopping = log->stopping;
            pthread_mutex_unlock(&log->lock);
            if (stopping)
                return;
            continue;
        }
        written = write(log->fd, bytes, size < PIPE_BUF ? size : PIPE_BUF);
        if (written < 0 && errno != EAGAIN && errno != EINTR)
            return;
        if (written > 0) {
            bytes += written;
            size -= (size_t)written;
        }
    }
}

static void *run_writer(void *context)
{
    struct log *log = context;
    struct buffer writing = buffer_make(WAITING_MAX_BYTES);
    bool stopping = false;

    while (!stopping || writing.size > 0) {
        struct buffer empty = writing;

        write_all(log, writing.data, writing.size);
        pthread_mutex_lock(&log->lock);
        while (log->waiting.size == 0 && !log->stopping)
            pthread_cond_wait(&log->changed, &log->lock);
        buffer_clear(&empty);
        writing = log->waiting;
        log->waiting = empty;
        stopping = log->stopping;
        pthread_mutex_unlock(&log->lock);
    }
    buffer_release(&writing);
    return NULL;
}

struct log *log_new(int fd, enum log_level level, bool as_json)
{
    struct log *log = calloc(1, sizeof *log);

    if (!log)
        return NULL;
    log->fd = fd;
    log->level = level;
    log->as_json = as_json;
    log->waiting = buffer_make(WAITING_MAX_BYTES);
    pthread_mutex_init(&log->lock, NULL);
    pthread_cond_init(&log->changed, NULL);
    if (thread_start(&log->writer, "log", run_writer, log) < 0) {
        free(log);
        return NULL;
    }
    return log;
}

void log_free(struct log *log)
{
    if (!log)
        return;
    pthread_mutex_lock(&log->lock);
    log->stopping = true;
    pthread_cond_signal(&log->changed);
    pthread_mutex_unlock(&log->lock);
    pthread_join(log->writer, NULL);
    buffer_release(&log->waiting);
    pthread_cond_destroy(&log->changed);
    pthread_mutex_destroy(&log->lock);
    free(log);
}

bool log_enabled(const struct log *log, enum log_level level)
{
    return log && level >= log->level;
}

static void make_json_line(struct buffer *line, enum log_level level, const char *time_text, const char *message,
                           const struct log_field *fields)
{
    struct json *json = json_new();
    const char *text;
    size_t size = 0;

    if (!json)
        return;
    json_begin_object(json);
    json_put_string(json, "level", level_names[level]);
    json_put_string(json, "time", time_text);
    json_put_string(json, "message", message);
    for (; fields && fields->type != LOG_FIELD_END; fields++) {
        if (fields->type == LOG_FIELD_NUMBER)
            json_put_number(json, fields->key, fields->number);
        else
            json_put_string(json, fields->key, fields->text);
    }
    json_end_object(json);
    text = json_text(json, &size);
    if (text) {
        buffer_append(line, text, size);
        buffer_append(line, "\n", 1);
    }
    json_free(json);
}

/*
 * Text of a field for a terminal: control characters (also U+0080 to U+009F, and bytes that are no UTF-8) could move its
 * cursor or hide what stands before them.
 */
static void append_printable(struct buffer *line, const char *text)
{
    size_t size = strlen(text);

    while (size > 0) {
        ucs4_t character;
        int length = u8_mbtoucr(&character, (const uint8_t *)text, size);
        bool printable = length > 0 && character >= 0x20 && (character < 0x7f || character > 0x9f);

        if (length < 1)
            length = 1;
        if (printable)
            buffer_append(line, text, (size_t)length);
        else
            buffer_append(line, "?", 1);
        text += length;
        size -= (size_t)length;
    }
}

static void make_text_line(struct buffer *line, enum log_level level, const char *time_text, const char *message,
                           const struct log_field *fields)
{
    buffer_printf(line, "%s %-5s %s", time_text, level_names[level], message);
    for (; fields && fields->type != LOG_FIELD_END; fields++) {
        if (fields->type == LOG_FIELD_NUMBER) {
            buffer_printf(line, " %s=%lld", fields->key, (long long)fields->number);
        } else if (fields->text) {
            buffer_printf(line, " %s=", fields->key);
            append_printable(line, fields->text);
        }
    }
    buffer_append(line, "\n", 1);
}

static void make_line(struct log *log, struct buffer *line, enum log_level level, const char *message,
                      const struct log_field *fields)
{
    char time_text[CLOCK_RFC3339_SIZE];

    clock_format_rfc3339(clock_unix_ms(), time_text);
    if (log->as_json)
        make_json_line(line, level, time_text, message, fields);
    else
        make_text_line(line, level, time_text, message, fields);
}

static void enqueue(struct log *log, const struct buffer *line)
{
    struct buffer lost_line = buffer_make(1024);
    bool was_empty;

    pthread_mutex_lock(&log->lock);
    was_empty = log->waiting.size == 0;
    if (log->dropped > 0 && log->waiting.size + line->size + 512 < WAITING_MAX_BYTES) {
        make_line(log, &lost_line, LOG_LEVEL_WARN, "Log lines were dropped: the reader of the log was too slow",
                  LOG_FIELDS(log_number("lines", log->dropped)));
        buffer_append(&log->waiting, lost_line.data, lost_line.size);
        log->dropped = 0;
    }
    if (line->failed || line->size > WAITING_MAX_BYTES - log->waiting.size)
        log->dropped++;
    else
        buffer_append(&log->waiting, line->data, line->size);
    if (was_empty)
        pthread_cond_signal(&log->changed);
    pthread_mutex_unlock(&log->lock);
    buffer_release(&lost_line);
}

void log_write(struct log *log, enum log_level level, const char *message, const struct log_field *fields)
{
    struct buffer line = buffer_make(WAITING_MAX_BYTES);

    if (!log_enabled(log, level))
        return;
    make_line(log, &line, level, message, fields);
    enqueue(log, &line);
    buffer_release(&line);
}

bool log_limiter_allow(struct log_limiter *limiter, int64_t *ret_suppressed)
{
    int64_t second = clock_monotonic_ns() / 1000000000;

    if (second == limiter->second) {
        limiter->suppressed++;
        return false;
    }
    *ret_suppressed = limiter->suppressed;
    limiter->second = second;
    limiter->suppressed = 0;
    return true;
}
