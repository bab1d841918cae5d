#ifndef SLUICE_CORE_LOG_H
#define SLUICE_CORE_LOG_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Structured log on a descriptor (stderr): one JSON object a line, or readable text for a terminal. Lines are written by
 * a thread of its own, so that a stalled reader of the log never stalls an event: what does not fit is dropped, and the
 * next line that fits says how many. Any thread may write.
 */
struct log;

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

enum log_field_type { LOG_FIELD_END, LOG_FIELD_TEXT, LOG_FIELD_NUMBER };

struct log_field {
    enum log_field_type type;
    const char *key;
    const char *text;
    int64_t number;
};

/* The fields of one line: LOG_FIELDS(log_text("companyId", company), log_number("recipients", 3)), or NULL for none. */
#define LOG_FIELDS(...)           \
    (const struct log_field[])    \
    {                             \
        __VA_ARGS__,              \
        {                         \
            .type = LOG_FIELD_END \
        }                         \
    }

/* text may be NULL: written as null. */
struct log_field log_text(const char *key, const char *text);
/* Likewise, and an empty text stands for what is not known: written as null too. */
struct log_field log_known(const char *key, const char *text);
struct log_field log_number(const char *key, int64_t number);

/* A log on fd, which stays the caller's. Lines below `level` are not written. NULL: no memory or no thread. */
struct log *log_new(int fd, enum log_level level, bool as_json);

/* Writes what waits (for at most two seconds, should the reader stall) and frees. */
void log_free(struct log *log);

/* Whether a line of that level would be written: asked before fields are made on a hot path. */
bool log_enabled(const struct log *log, enum log_level level);

/* Writes one line. A NULL log writes nothing, so that tests need none. */
void log_write(struct log *log, enum log_level level, const char *message, const struct log_field *fields);

/*
 * For lines that a flood of bad input could repeat: returns true for the first call in each second, and how many calls
 * were turned away since in ret_suppressed. One owner, or its lock.
 */
struct log_limiter {
    int64_t second;
    int64_t suppressed;
};
bool log_limiter_allow(struct log_limiter *limiter, int64_t *ret_suppressed);

#endif
