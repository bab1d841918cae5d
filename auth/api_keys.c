#include "auth/api_keys.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "core/clock.h"
#include "core/file.h"
#include "core/thread.h"

#define NS_PER_S INT64_C(1000000000)

enum { HASH_BYTES = 32, ERRORS_MAX_BYTES = 64 * 1024 };

/* A text read, or why it could not be. */
struct reading {
    int status;
    struct file_stamp look;
    struct buffer text;
    unsigned char hash[HASH_BYTES];
};

struct api_keys {
    char *path;
    void (*changed)(void *context, const struct api_key_set *set);
    void *context;
    struct log *log;
    struct metrics *metrics;
    pthread_t thread;
    /* The thread's alone once it runs: the last attempt. */
    struct file_stamp look;
    int status;
    unsigned char hash[HASH_BYTES];
    /* Guards what follows. */
    pthread_mutex_t lock;
    pthread_cond_t stop;
    bool stopping;
    struct api_key_set *current;
};

/* A file changed so lately may change again without looking different: times of files move in steps. */
static bool is_fresh(const struct file_stamp *look)
{
    return look->error == 0 && (int64_t)look->modified.tv_sec * 1000 + 2000 > clock_unix_ms();
}

static void read_file(const char *path, struct reading *ret_reading)
{
    memset(ret_reading, 0, sizeof *ret_reading);
    ret_reading->text = buffer_make(API_KEYS_MAX_FILE_BYTES);
    ret_reading->status = file_read(path, &ret_reading->text, &ret_reading->look);
    if (ret_reading->status == 0 &&
        EVP_Digest(ret_reading->text.data, ret_reading->text.size, ret_reading->hash, NULL, EVP_sha256(), NULL) != 1)
        ret_reading->status = -ENOMEM;
}

static void release(struct reading *reading)
{
    buffer_release(&reading->text);
}

/* Whether the text is the one of the last attempt, however the file looks. Keeps it for the next time. */
static bool is_known(struct api_keys *keys, const struct reading *reading)
{
    bool known = reading->status == keys->status && memcmp(reading->hash, keys->hash, sizeof keys->hash) == 0;

    keys->look = reading->look;
    keys->status = reading->status;
    memcpy(keys->hash, reading->hash, sizeof keys->hash);
    return known;
}

static void use(struct api_keys *keys, struct api_key_set *set)
{
    struct api_key_set *before;

    pthread_mutex_lock(&keys->lock);
    before = keys->current;
    keys->current = set;
    pthread_mutex_unlock(&keys->lock);
    api_key_set_unref(before);
    metrics_set(keys->metrics, METRIC_API_KEYS, (int64_t)api_key_set_count(set));
}

static const char *source_name(const struct api_keys *keys)
{
    return keys->path ? keys->path : "Redis";
}

static void report(struct api_keys *keys, int status, const struct buffer *errors)
{
    char listed[4096] = "";
    size_t size = errors->size < sizeof listed ? errors->size : sizeof listed - 1;

    if (size > 0)
        memcpy(listed, errors->data, size);
    metrics_add(keys->metrics, METRIC_API_KEYS_ERRORS, 1);
    log_write(keys->log, LOG_LEVEL_ERROR, "The API keys could not be read again: the earlier ones stay",
              LOG_FIELDS(log_text("source", source_name(keys)), log_text("error", strerror(-status)),
                         log_text("lines", listed)));
}

/* Takes the set over, or reports why there is none. */
static void settle(struct api_keys *keys, int status, struct api_key_set *set, const struct buffer *errors)
{
    if (status < 0) {
        report(keys, status, errors);
        return;
    }
    use(keys, set);
    log_write(keys->log, LOG_LEVEL_INFO, "The API keys were read",
              LOG_FIELDS(log_text("source", source_name(keys)), log_number("keys", (int64_t)api_key_set_count(set))));
    /* The set stays in use as long as this thread, the only one that replaces it, is here. */
    if (keys->changed)
        keys->changed(keys->context, set);
}

/* Takes over what was read. Returns 0 or why not. */
static int take_over(struct api_keys *keys, const struct reading *reading)
{
    struct buffer errors = buffer_make(ERRORS_MAX_BYTES);
    struct api_key_set *set = NULL;
    int status = reading->status;

    if (status == 0)
        status = api_key_set_from_text(reading->text.data, reading->text.size, &errors, &set);
    settle(keys, status, set, &errors);
    buffer_release(&errors);
    return status;
}

void api_keys_take(struct api_keys *keys, const struct api_key_line *lines, size_t count)
{
    struct buffer errors = buffer_make(ERRORS_MAX_BYTES);
    struct api_key_set *set = NULL;
    int status = api_key_set_from_lines(lines, count, &errors, &set);

    settle(keys, status, set, &errors);
    buffer_release(&errors);
}

static void check(struct api_keys *keys)
{
    struct reading reading;
    struct file_stamp look = file_look(keys->path);

    if (file_stamp_equals(&look, &keys->look) && !is_fresh(&look))
        return;
    read_file(keys->path, &reading);
    /* Whoever writes a file in place empties it first: no reason to end all streams that came by a key. */
    if (reading.status == 0 && reading.text.size == 0 && is_fresh(&reading.look)) {
        release(&reading);
        return;
    }
    /* What failed for reasons that may pass is tried again, however the file looks then. */
    if (!is_known(keys, &reading) && take_over(keys, &reading) == -ENOMEM)
        keys->status = -ENOMEM;
    if (keys->status < 0 && keys->look.error == 0)
        keys->look.size = -1;
    release(&reading);
}

/* Waits for a second, or until the end. Returns whether to go on. */
static bool wait_a_second(struct api_keys *keys)
{
    int64_t until_ns = clock_monotonic_ns() + NS_PER_S;
    bool in_time = true;
    bool go_on;

    pthread_mutex_lock(&keys->lock);
    while (!keys->stopping && in_time)
        in_time = thread_wait_until(&keys->stop, &keys->lock, until_ns);
    go_on = !keys->stopping;
    pthread_mutex_unlock(&keys->lock);
    return go_on;
}

static void *run(void *context)
{
    struct api_keys *keys = context;

    while (wait_a_second(keys))
        check(keys);
    return NULL;
}

static struct api_keys *make_keys(const struct api_keys_options *options)
{
    struct api_keys *keys = calloc(1, sizeof *keys);

    if (!keys)
        return NULL;
    keys->changed = options->changed;
    keys->context = options->context;
    keys->log = options->log;
    keys->metrics = options->metrics;
    pthread_mutex_init(&keys->lock, NULL);
    thread_cond_init(&keys->stop);
    return keys;
}

static void free_keys(struct api_keys *keys)
{
    api_key_set_unref(keys->current);
    pthread_cond_destroy(&keys->stop);
    pthread_mutex_destroy(&keys->lock);
    free(keys->path);
    free(keys);
}

/* Reads the file for the first time, and starts to watch it. */
static int start(struct api_keys *keys, const char *path, struct buffer *errors)
{
    struct reading reading;
    struct api_key_set *set = NULL;
    int status;

    keys->path = strdup(path);
    if (!keys->path)
        return -ENOMEM;
    read_file(keys->path, &reading);
    (void)is_known(keys, &reading);
    status = reading.status;
    if (status == 0)
        status = api_key_set_from_text(reading.text.data, reading.text.size, errors, &set);
    release(&reading);
    if (status < 0)
        return status;
    use(keys, set);
    return thread_start(&keys->thread, "api-keys", run, keys);
}

int api_keys_new(const struct api_keys_options *options, struct buffer *errors, struct api_keys **ret_keys)
{
    struct api_keys *keys = make_keys(options);
    int status = 0;

    if (!keys)
        return -ENOMEM;
    if (options->path)
        status = start(keys, options->path, errors);
    if (status < 0)
        free_keys(keys);
    else
        *ret_keys = keys;
    return status;
}

void api_keys_free(struct api_keys *keys)
{
    if (!keys)
        return;
    pthread_mutex_lock(&keys->lock);
    keys->stopping = true;
    pthread_cond_signal(&keys->stop);
    pthread_mutex_unlock(&keys->lock);
    if (keys->path)
        pthread_join(keys->thread, NULL);
    free_keys(keys);
}

struct api_key_set *api_keys_current(struct api_keys *keys)
{
    struct api_key_set *set;

    pthread_mutex_lock(&keys->lock);
    set = keys->current ? api_key_set_ref(keys->current) : NULL;
    pthread_mutex_unlock(&keys->lock);
    return set;
}
