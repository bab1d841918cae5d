#include "auth/key_source.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "auth/jwks_fetch.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/thread.h"

#define NS_PER_MS INT64_C(1000000)

static const struct key_source_times usual_times = {
    .file_check_ms = 1000,
    .least_refresh_ms = 30000,
    .most_refresh_ms = 86400000,
    .usual_refresh_ms = 300000,
    .first_retry_ms = 1000,
    .most_retry_ms = 60000,
    .asked_refresh_ms = 10000,
    .connect_timeout_ms = 5000,
    .timeout_ms = 10000,
};

struct key_source {
    enum key_source_kind kind;
    char *where;
    struct key_source_times times;
    struct log *log;
    struct metrics *metrics;
    pthread_t thread;
    bool has_thread;

    /* The thread's own. */
    struct jwks_fetch *fetch;
    struct file_stamp stamp;
    int failures;      /* in a row */
    int64_t max_age_s; /* as the last whole answer had it, or -1 */

    /* Guards what follows; held for moments only. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct key_set *current;
    int64_t last_ns; /* when the last request began */
    int64_t next_ns; /* when to look again */
    bool is_stopping;
};

static int64_t or_usual(int64_t given, int64_t usual)
{
    return given > 0 ? given : usual;
}

static struct key_source_times complete_times(const struct key_source_times *given)
{
    return (struct key_source_times){
        .file_check_ms = or_usual(given->file_check_ms, usual_times.file_check_ms),
        .least_refresh_ms = or_usual(given->least_refresh_ms, usual_times.least_refresh_ms),
        .most_refresh_ms = or_usual(given->most_refresh_ms, usual_times.most_refresh_ms),
        .usual_refresh_ms = or_usual(given->usual_refresh_ms, usual_times.usual_refresh_ms),
        .first_retry_ms = or_usual(given->first_retry_ms, usual_times.first_retry_ms),
        .most_retry_ms = or_usual(given->most_retry_ms, usual_times.most_retry_ms),
        .asked_refresh_ms = or_usual(given->asked_refresh_ms, usual_times.asked_refresh_ms),
        .connect_timeout_ms = or_usual(given->connect_timeout_ms, usual_times.connect_timeout_ms),
        .timeout_ms = or_usual(given->timeout_ms, usual_times.timeout_ms),
    };
}

static void count(struct key_source *source, enum metric metric)
{
    if (source->metrics)
        metrics_add(source->metrics, metric, 1);
}

/* Takes the set over. One of the same text changes nothing, so that cached tokens stay valid. */
static void replace(struct key_source *source, struct key_set *set)
{
    struct key_set *before;
    bool is_same;
    size_t keys = key_set_count(set);

    pthread_mutex_lock(&source->lock);
    before = source->current;
    is_same = before && memcmp(key_set_identity(before), key_set_identity(set), KEY_SET_IDENTITY_SIZE) == 0;
    if (is_same)
        before = set;
    else
        source->current = set;
    pthread_mutex_unlock(&source->lock);
    key_set_unref(before);
    if (!is_same)
        log_write(source->log, LOG_LEVEL_INFO, "Keys for tokens are loaded",
                  LOG_FIELDS(log_number("keys", (int64_t)keys)));
}

/* --- files --- */

static struct key_set *set_of_file(enum key_source_kind kind, const struct buffer *text, struct key_error *ret_error)
{
    const char *bytes = text->data ? text->data : "";
    size_t size = text->size;

    switch (kind) {
    case KEY_SOURCE_PEM_FILE:
        return key_set_from_pem(bytes, size, ret_error);
    case KEY_SOURCE_JWKS_FILE:
        return key_set_from_jwks(bytes, size, ret_error);
    default:
        if (size > 0 && bytes[size - 1] == '\n')
            size--;
        if (size > 0 && size < text->size && bytes[size - 1] == '\r')
            size--;
        return key_set_from_secret(bytes, size, ret_error);
    }
}

static struct key_set *read_file(struct key_source *source, struct key_error *ret_error)
{
    struct buffer text = buffer_make(KEY_SET_MAX_BYTES);
    struct key_set *set = NULL;
    int status = file_read(source->where, &text, NULL);

    if (status == 0)
        set = set_of_file(source->kind, &text, ret_error);
    else
        snprintf(ret_error->text, sizeof ret_error->text, "cannot be read: %s", strerrordesc_np(-status));
    if (text.data)
        OPENSSL_cleanse(text.data, text.size);
    buffer_release(&text);
    return set;
}

/* Reads the file if it changed; a bad one is told once, until it changes again. */
static void check_file(struct key_source *source)
{
    struct file_stamp stamp = file_look(source->where);
    struct key_error error;
    struct key_set *set;

    if (file_stamp_equals(&stamp, &source->stamp))
        return;
    /* The stamp from before the reading: what is written meanwhile is seen next time. */
    source->stamp = stamp;
    set = read_file(source, &error);
    if (set) {
        replace(source, set);
        return;
    }
    count(source, METRIC_KEYS_RELOAD_FAILED);
    log_write(source->log, LOG_LEVEL_ERROR, "The changed key file cannot be used; the keys before it stay",
              LOG_FIELDS(log_text("file", source->where), log_text("reason", error.text)));
}

/* --- URL --- */

static int64_t clamp(int64_t value, int64_t least, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

static int64_t refresh_delay_ms(const struct key_source *source, int64_t max_age_s)
{
    int64_t wanted_ms = max_age_s < 0 ? source->times.usual_refresh_ms : clamp(max_age_s, 0, INT32_MAX) * 1000;

    return clamp(wanted_ms, source->times.least_refresh_ms, source->times.most_refresh_ms);
}

/* Doubled with each failure, and from half of that to all of it: many processes must not come back together. */
static int64_t retry_delay_ms(const struct key_source *source)
{
    int64_t delay_ms = source->times.first_retry_ms;
    unsigned char random = 128;

    for (int i = 1; i < source->failures && delay_ms < source->times.most_retry_ms; i++)
        delay_ms *= 2;
    delay_ms = clamp(delay_ms, 1, source->times.most_retry_ms);
    RAND_bytes(&random, 1);
    return delay_ms / 2 + delay_ms * random / 512;
}

static int64_t refresh_failed(struct key_source *source, const char *reason)
{
    int64_t delay_ms;

    source->failures++;
    delay_ms = retry_delay_ms(source);
    count(source, METRIC_JWKS_FAILED);
    log_write(source->log, LOG_LEVEL_ERROR, "The keys of JWT_JWKS_URL cannot be fetched; those before stay",
              LOG_FIELDS(log_text("reason", reason), log_number("failures", source->failures),
                         log_number("retryMs", delay_ms)));
    return delay_ms;
}

/* Returns the time until the next request. */
static int64_t refresh(struct key_source *source)
{
    struct jwks_answer answer;
    struct key_error error;
    struct key_set *set;

    switch (jwks_fetch_run(source->fetch, &answer)) {
    case JWKS_CANCELLED:
        return 0;
    case JWKS_FAILED:
        return refresh_failed(source, answer.error);
    case JWKS_FETCHED:
        set = key_set_from_jwks(answer.body, answer.size, &error);
        if (!set)
            return refresh_failed(source, error.text);
        jwks_fetch_accept(source->fetch);
        replace(source, set);
        source->max_age_s = answer.max_age_s;
        break;
    case JWKS_UNCHANGED:
        /* A 304 may leave out what has not changed. */
        if (answer.max_age_s >= 0)
            source->max_age_s = answer.max_age_s;
        break;
    }
    source->failures = 0;
    count(source, METRIC_JWKS_REFRESHED);
    return refresh_delay_ms(source, source->max_age_s);
}

/* --- the thread --- */

static int64_t look(struct key_source *source)
{
    if (source->kind == KEY_SOURCE_JWKS_URL)
        return refresh(source);
    check_file(source);
    return source->times.file_check_ms;
}

static void *run(void *context)
{
    struct key_source *source = context;

    pthread_mutex_lock(&source->lock);
    while (!source->is_stopping) {
        int64_t now_ns = clock_monotonic_ns();
        int64_t delay_ms;

        if (now_ns < source->next_ns) {
            (void)thread_wait_until(&source->changed, &source->lock, source->next_ns);
            continue;
        }
        source->last_ns = now_ns;
        pthread_mutex_unlock(&source->lock);
        delay_ms = look(source);
        pthread_mutex_lock(&source->lock);
        source->next_ns = clock_monotonic_ns() + delay_ms * NS_PER_MS;
    }
    pthread_mutex_unlock(&source->lock);
    return NULL;
}

static int start_thread(struct key_source *source, struct key_error *ret_error)
{
    if (thread_start(&source->thread, "keys", run, source) == 0) {
        source->has_thread = true;
        return 0;
    }
    strcpy(ret_error->text, "no thread could be started");
    return -1;
}

static int start_file(struct key_source *source, struct key_error *ret_error)
{
    source->stamp = file_look(source->where);
    source->current = read_file(source, ret_error);
    source->next_ns = clock_monotonic_ns() + source->times.file_check_ms * NS_PER_MS;
    return source->current ? start_thread(source, ret_error) : -1;
}

static int start_url(struct key_source *source, struct key_error *ret_error)
{
    const struct jwks_fetch_limits limits = {.connect_timeout_ms = (long)source->times.connect_timeout_ms,
                                             .timeout_ms = (long)source->times.timeout_ms};

    source->fetch = jwks_fetch_new(source->where, &limits);
    if (source->fetch)
        return start_thread(source, ret_error);
    strcpy(ret_error->text, "the URL cannot be fetched by this libcurl");
    return -1;
}

static int start(struct key_source *source, struct key_error *ret_error)
{
    if (source->kind == KEY_SOURCE_JWKS_URL)
        return start_url(source, ret_error);
    if (source->kind != KEY_SOURCE_SECRET)
        return start_file(source, ret_error);
    source->current = key_set_from_secret(source->where, strlen(source->where), ret_error);
    return source->current ? 0 : -1;
}

struct key_source *key_source_new(const struct key_source_options *options, struct key_error *ret_error)
{
    struct key_source *source = calloc(1, sizeof *source);

    strcpy(ret_error->text, "out of memory");
    if (!source)
        return NULL;
    source->kind = options->kind;
    source->times = complete_times(&options->times);
    source->log = options->log;
    source->metrics = options->metrics;
    pthread_mutex_init(&source->lock, NULL);
    thread_cond_init(&source->changed);
    source->where = strdup(options->where);
    if (source->where && start(source, ret_error) == 0)
        return source;
    key_source_free(source);
    return NULL;
}

static void stop(struct key_source *source)
{
    pthread_mutex_lock(&source->lock);
    source->is_stopping = true;
    pthread_cond_signal(&source->changed);
    pthread_mutex_unlock(&source->lock);
    if (source->fetch)
        jwks_fetch_cancel(source->fetch);
    pthread_join(source->thread, NULL);
}

void key_source_free(struct key_source *source)
{
    if (!source)
        return;
    if (source->has_thread)
        stop(source);
    jwks_fetch_free(source->fetch);
    key_set_unref(source->current);
    pthread_cond_destroy(&source->changed);
    pthread_mutex_destroy(&source->lock);
    if (source->where)
        OPENSSL_cleanse(source->where, strlen(source->where));
    free(source->where);
    free(source);
}

struct key_set *key_source_get(struct key_source *source)
{
    struct key_set *set;

    pthread_mutex_lock(&source->lock);
    set = key_set_ref(source->current);
    pthread_mutex_unlock(&source->lock);
    return set;
}

void key_source_ask_refresh(struct key_source *source)
{
    int64_t allowed_ns;

    if (source->kind != KEY_SOURCE_JWKS_URL)
        return;
    pthread_mutex_lock(&source->lock);
    allowed_ns = source->last_ns + source->times.asked_refresh_ms * NS_PER_MS;
    if (allowed_ns < source->next_ns) {
        source->next_ns = allowed_ns;
        pthread_cond_signal(&source->changed);
    }
    pthread_mutex_unlock(&source->lock);
}
