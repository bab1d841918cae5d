#include "auth/api_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"

#define LINE_A "{\"id\":\"a\",\"sha256\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}\n"
#define LINE_B "{\"id\":\"b\",\"sha256\":\"1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}\n"
#define WAIT_NS INT64_C(20000000000)

struct fixture {
    char folder[64];
    char path[96];
    struct metrics *metrics;
    struct api_keys *keys;
    atomic_int changes;
    atomic_size_t count; /* of the keys at the last change */
};

static void changed(void *context, const struct api_key_set *set)
{
    struct fixture *fixture = context;

    atomic_store(&fixture->count, api_key_set_count(set));
    atomic_fetch_add(&fixture->changes, 1);
}

/* As an editor does it: a new file in the place of the old. */
static void replace(const struct fixture *fixture, const char *text)
{
    char other[128];
    FILE *file;

    snprintf(other, sizeof other, "%s.new", fixture->path);
    file = fopen(other, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(other, fixture->path), 0);
}

static void overwrite(const struct fixture *fixture, const char *text)
{
    int fd = open(fixture->path, O_WRONLY | O_TRUNC | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static int open_keys(struct fixture *fixture, struct buffer *errors)
{
    return api_keys_new(
        &(struct api_keys_options){
            .path = fixture->path, .changed = changed, .context = fixture, .metrics = fixture->metrics},
        errors, &fixture->keys);
}

static void set_up(struct fixture *fixture, const char *text)
{
    struct buffer errors = buffer_make(65536);

    memset(fixture, 0, sizeof *fixture);
    strcpy(fixture->folder, "/tmp/sluice-keys.XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->path, sizeof fixture->path, "%s/keys", fixture->folder);
    fixture->metrics = metrics_new();
    assert_non_null(fixture->metrics);
    if (!text)
        return;
    replace(fixture, text);
    assert_int_equal(open_keys(fixture, &errors), 0);
}

static void tear_down(struct fixture *fixture)
{
    api_keys_free(fixture->keys);
    metrics_free(fixture->metrics);
    unlink(fixture->path);
    rmdir(fixture->folder);
}

static void await_changes(struct fixture *fixture, int changes)
{
    int64_t deadline_ns = clock_monotonic_ns() + WAIT_NS;

    while (atomic_load(&fixture->changes) < changes && clock_monotonic_ns() < deadline_ns)
        usleep(1000);
    assert_int_equal(atomic_load(&fixture->changes), changes);
}

static void await_errors(struct fixture *fixture, int64_t errors)
{
    int64_t deadline_ns = clock_monotonic_ns() + WAIT_NS;

    while (metrics_get(fixture->metrics, METRIC_API_KEYS_ERRORS) < errors && clock_monotonic_ns() < deadline_ns)
        usleep(1000);
    assert_int_equal(metrics_get(fixture->metrics, METRIC_API_KEYS_ERRORS), errors);
}

static void assert_has(struct fixture *fixture, const char *id, bool has)
{
    struct api_key_set *set = api_keys_current(fixture->keys);

    assert_int_equal(api_key_set_find_id(set, id) != NULL, has);
    api_key_set_unref(set);
}

static void test_a_start_without_good_keys_fails(void **state)
{
    struct buffer errors = buffer_make(65536);
    struct fixture fixture;

    (void)state;
    set_up(&fixture, NULL);
    assert_int_equal(open_keys(&fixture, &errors), -ENOENT);
    replace(&fixture, LINE_A "bad\n");
    assert_int_equal(open_keys(&fixture, &errors), -EINVAL);
    assert_memory_equal(errors.data, "line 2: ", 8);
    unlink(fixture.path);
    assert_int_equal(mkfifo(fixture.path, 0600), 0);
    assert_int_equal(open_keys(&fixture, &errors), -EINVAL);
    unlink(fixture.path);
    replace(&fixture, "");
    assert_int_equal(truncate(fixture.path, (off_t)API_KEYS_MAX_FILE_BYTES + 1), 0);
    assert_int_equal(open_keys(&fixture, &errors), -EFBIG);
    assert_null(fixture.keys);
    buffer_release(&errors);
    tear_down(&fixture);
}

static void test_a_changed_file_is_taken_over(void **state)
{
    struct fixture fixture;

    (void)state;
    set_up(&fixture, LINE_A);
    assert_has(&fixture, "a", true);
    assert_int_equal(metrics_get(fixture.metrics, METRIC_API_KEYS), 1);
    replace(&fixture, LINE_A LINE_B);
    await_changes(&fixture, 1);
    assert_has(&fixture, "b", true);
    assert_int_equal(atomic_load(&fixture.count), 2);
    assert_int_equal(metrics_get(fixture.metrics, METRIC_API_KEYS), 2);
    /* Of the same size, in the same file, in one go with the change before. */
    replace(&fixture, LINE_A);
    await_changes(&fixture, 2);
    overwrite(&fixture, LINE_B);
    await_changes(&fixture, 3);
    assert_has(&fixture, "a", false);
    assert_has(&fixture, "b", true);
    assert_int_equal(metrics_get(fixture.metrics, METRIC_API_KEYS_ERRORS), 0);
    tear_down(&fixture);
}

static void test_a_file_that_is_written_in_place_is_never_taken_for_an_empty_one(void **state)
{
    struct timespec soon[2] = {{.tv_sec = clock_unix_ms() / 1000 + 60}, {.tv_sec = clock_unix_ms() / 1000 + 60}};
    struct timespec past[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    struct fixture fixture;

    (void)state;
    set_up(&fixture, LINE_A);
    overwrite(&fixture, "");
    assert_int_equal(utimensat(AT_FDCWD, fixture.path, soon, 0), 0);
    usleep(1500000); /* it looks every second */
    overwrite(&fixture, LINE_A LINE_B);
    await_changes(&fixture, 1);
    assert_int_equal(atomic_load(&fixture.count), 2);
    /* One that stays empty has no keys. */
    overwrite(&fixture, "");
    assert_int_equal(utimensat(AT_FDCWD, fixture.path, past, 0), 0);
    await_changes(&fixture, 2);
    assert_int_equal(atomic_load(&fixture.count), 0);
    tear_down(&fixture);
}

static void test_a_bad_or_missing_file_changes_nothing(void **state)
{
    struct fixture fixture;
    struct api_key_set *held;

    (void)state;
    set_up(&fixture, LINE_A);
    held = api_keys_current(fixture.keys);
    replace(&fixture, LINE_B "bad\n");
    await_errors(&fixture, 1);
    assert_has(&fixture, "a", true);
    unlink(fixture.path);
    await_errors(&fixture, 2);
    assert_has(&fixture, "a", true);
    assert_int_equal(atomic_load(&fixture.changes), 0);
    replace(&fixture, LINE_B);
    await_changes(&fixture, 1);
    assert_has(&fixture, "a", false);
    assert_int_equal(metrics_get(fixture.metrics, METRIC_API_KEYS_ERRORS), 2);
    /* Who holds the earlier keys may use them on. */
    assert_non_null(api_key_set_find_id(held, "a"));
    tear_down(&fixture);
    api_key_set_unref(held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_start_without_good_keys_fails),
        cmocka_unit_test(test_a_changed_file_is_taken_over),
        cmocka_unit_test(test_a_file_that_is_written_in_place_is_never_taken_for_an_empty_one),
        cmocka_unit_test(test_a_bad_or_missing_file_changes_nothing),
    };

    api_keys_free(NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
