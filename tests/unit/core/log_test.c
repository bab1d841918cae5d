#include "core/log.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/buffer.h"
#include "core/json_scan.h"

enum { TEXT_MAX = 8 * 1024 * 1024 };

/* A log into a pipe, read to its end once the log is freed. */
struct rig {
    int fds[2];
    struct log *log;
    struct buffer text;
};

static void start(struct rig *rig, enum log_level level, bool as_json)
{
    assert_int_equal(pipe2(rig->fds, O_CLOEXEC), 0);
    rig->text = buffer_make(TEXT_MAX);
    rig->log = log_new(rig->fds[1], level, as_json);
    assert_non_null(rig->log);
}

/* Ends the log and reads all of it. What was written must fit the pipe, unless somebody reads already. */
static void finish(struct rig *rig)
{
    char bytes[4096];
    ssize_t size;

    log_free(rig->log);
    close(rig->fds[1]);
    while ((size = read(rig->fds[0], bytes, sizeof bytes)) > 0)
        buffer_append(&rig->text, bytes, (size_t)size);
    close(rig->fds[0]);
    assert_false(rig->text.failed);
    buffer_append(&rig->text, "", 1);
}

static void read_value(const char *line, size_t size, const char *key, char value[256])
{
    struct json_scanner *scanner = json_scanner_new(size);

    assert_non_null(scanner);
    assert_int_equal(json_scan_member(scanner, line, size, key, value, 256), JSON_SCAN_OK);
    json_scanner_free(scanner);
}

static void assert_value(const char *line, size_t size, const char *key, const char *expected)
{
    char value[256];

    read_value(line, size, key, value);
    assert_string_equal(value, expected);
}

static void test_a_line_is_one_json_object_with_its_fields(void **state)
{
    struct rig rig;
    char value[256];

    (void)state;
    start(&rig, LOG_LEVEL_DEBUG, true);
    log_write(rig.log, LOG_LEVEL_WARN, "Something \"odd\"",
              LOG_FIELDS(log_text("companyId", "acme"), log_number("recipients", -3), log_text("nothing", NULL)));
    finish(&rig);
    assert_ptr_equal(strchr(rig.text.data, '\n'), rig.text.data + rig.text.size - 2);
    assert_value(rig.text.data, rig.text.size - 1, "level", "warn");
    assert_value(rig.text.data, rig.text.size - 1, "message", "Something \"odd\"");
    assert_value(rig.text.data, rig.text.size - 1, "companyId", "acme");
    read_value(rig.text.data, rig.text.size - 1, "time", value);
    assert_int_equal(strlen(value), strlen("2026-01-02T03:04:05.678Z"));
    assert_non_null(strstr(rig.text.data, "\"recipients\":-3"));
    assert_non_null(strstr(rig.text.data, "\"nothing\":null"));
    buffer_release(&rig.text);
}

static void test_no_text_breaks_a_json_line(void **state)
{
    static const char *const texts[] = {
        "a\nb",         "\r\n{\"level\":\"error\"}", "\x1b[31m",     "\"", "\\", "\xff\xfe", "\xc3",
        "\xed\xa0\x80", "\xf7\xbf\xbf\xbf",          "\x01\x02\x7f", ""};
    const size_t count = sizeof texts / sizeof texts[0];
    struct rig rig;
    char *rest;
    size_t lines = 0;

    (void)state;
    start(&rig, LOG_LEVEL_DEBUG, true);
    for (size_t i = 0; i < count; i++)
        log_write(rig.log, LOG_LEVEL_INFO, "A message", LOG_FIELDS(log_text("text", texts[i])));
    finish(&rig);
    for (char *line = strtok_r(rig.text.data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest), lines++)
        assert_value(line, strlen(line), "message", "A message");
    assert_int_equal(lines, count);
    buffer_release(&rig.text);
}

static void test_lines_below_the_level_are_not_written(void **state)
{
    struct rig rig;

    (void)state;
    start(&rig, LOG_LEVEL_WARN, false);
    assert_false(log_enabled(rig.log, LOG_LEVEL_INFO));
    assert_true(log_enabled(rig.log, LOG_LEVEL_WARN));
    assert_true(log_enabled(rig.log, LOG_LEVEL_ERROR));
    log_write(rig.log, LOG_LEVEL_DEBUG, "unseen", NULL);
    log_write(rig.log, LOG_LEVEL_INFO, "unseen", NULL);
    log_write(rig.log, LOG_LEVEL_WARN, "seen 1", NULL);
    log_write(rig.log, LOG_LEVEL_ERROR, "seen 2", NULL);
    finish(&rig);
    assert_null(strstr(rig.text.data, "unseen"));
    assert_true(strstr(rig.text.data, "seen 1") < strstr(rig.text.data, "seen 2"));
    assert_non_null(strstr(rig.text.data, "seen 1"));
    buffer_release(&rig.text);
}

static void test_without_a_log_nothing_is_written(void **state)
{
    (void)state;
    assert_false(log_enabled(NULL, LOG_LEVEL_ERROR));
    log_write(NULL, LOG_LEVEL_ERROR, "nothing", NULL);
    log_free(NULL);
}

static void test_the_text_form_shows_message_and_fields_in_one_line(void **state)
{
    struct rig rig;

    (void)state;
    start(&rig, LOG_LEVEL_DEBUG, false);
    log_write(rig.log, LOG_LEVEL_INFO, "Hello", LOG_FIELDS(log_text("who", "you"), log_number("times", 2)));
    finish(&rig);
    assert_non_null(strstr(rig.text.data, "Hello"));
    assert_non_null(strstr(rig.text.data, " who=you times=2\n"));
    buffer_release(&rig.text);
}

static void test_the_text_form_gives_a_terminal_no_commands(void **state)
{
    struct rig rig;

    (void)state;
    start(&rig, LOG_LEVEL_DEBUG, false);
    log_write(rig.log, LOG_LEVEL_INFO, "Hello", LOG_FIELDS(log_text("a", "x\x1b[2Jy\nz\r\t\x7f\x08\x01")));
    finish(&rig);
    assert_int_equal(rig.text.data[rig.text.size - 2], '\n');
    for (size_t i = 0; i + 2 < rig.text.size; i++)
        assert_true((unsigned char)rig.text.data[i] >= 0x20 && rig.text.data[i] != 0x7f);
    buffer_release(&rig.text);
}

/* U+0080 to U+009F: U+009B begins a command as ESC [ does, also in UTF-8. Other text stays readable. */
static void test_the_text_form_gives_a_terminal_no_commands_beyond_ascii_either(void **state)
{
    struct rig rig;

    (void)state;
    start(&rig, LOG_LEVEL_DEBUG, false);
    log_write(rig.log, LOG_LEVEL_INFO, "Hello",
              LOG_FIELDS(log_text("a", "x\xc2\x9b"
                                       "2Jy\xc2\x85z h\xc3\xa9")));
    finish(&rig);
    assert_null(strstr(rig.text.data, "\xc2\x9b"));
    assert_null(strstr(rig.text.data, "\xc2\x85"));
    assert_non_null(strstr(rig.text.data, "h\xc3\xa9"));
    buffer_release(&rig.text);
}

static void fill(int fd)
{
    static const char bytes[4096];
    int flags = fcntl(fd, F_GETFL);

    assert_int_equal(fcntl(fd, F_SETFL, flags | O_NONBLOCK), 0);
    while (write(fd, bytes, sizeof bytes) > 0)
        continue;
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(fcntl(fd, F_SETFL, flags), 0);
}

static size_t drain(int fd, size_t bytes_left)
{
    char bytes[65536];
    size_t size = bytes_left < sizeof bytes ? bytes_left : sizeof bytes;
    ssize_t got = read(fd, bytes, size);

    assert_true(got > 0);
    return (size_t)got;
}

/* Where `part` stands at or behind `at`, or NULL. memmem, since ASan's strstr walks to the end of all text for each hit. */
static const char *find(const struct buffer *text, const char *at, const char *part)
{
    return memmem(at, (size_t)(text->data + text->size - at), part, strlen(part));
}

/* The number behind `key` in all lines that hold it, summed. */
static long sum_of(const struct buffer *text, const char *key)
{
    long sum = 0;

    for (const char *at = text->data; (at = find(text, at, key)); at += strlen(key))
        sum += strtol(at + strlen(key), NULL, 10);
    return sum;
}

static long count_of(const struct buffer *text, const char *part)
{
    long count = 0;

    for (const char *at = text->data; (at = find(text, at, part)); at += strlen(part))
        count++;
    return count;
}

/* Reads once, and keeps a NUL behind the text. */
static void read_once(struct rig *rig)
{
    char bytes[65536];
    ssize_t size = read(rig->fds[0], bytes, sizeof bytes);

    assert_true(size > 0);
    buffer_append(&rig->text, bytes, (size_t)size);
    buffer_append(&rig->text, "", 1);
    assert_false(rig->text.failed);
    rig->text.size--;
}

static bool ends_with(const struct buffer *text, const char *end)
{
    return text->size >= strlen(end) && memcmp(text->data + text->size - strlen(end), end, strlen(end)) == 0;
}

/* Lines that were read, and lines that were told to be dropped. */
static long accounted(const struct buffer *text)
{
    return count_of(text, "\"level\":\"info\"") + sum_of(text, "\"lines\":");
}

/*
 * The pipe is full and nobody reads: were a write to wait for the reader, this test would not end. Later every line was
 * either read or told to be dropped.
 */
static void test_a_stalled_reader_stalls_nobody_and_dropped_lines_are_told(void **state)
{
    enum { LINES = 30000 };
    long written = LINES;
    struct rig rig;
    size_t left;
    char padding[100];

    (void)state;
    memset(padding, 'p', sizeof padding);
    padding[sizeof padding - 1] = '\0';
    start(&rig, LOG_LEVEL_INFO, true);
    fill(rig.fds[1]);
    left = (size_t)fcntl(rig.fds[1], F_GETPIPE_SZ);
    for (int i = 0; i < LINES; i++)
        log_write(rig.log, LOG_LEVEL_INFO, "A flood", LOG_FIELDS(log_text("padding", padding)));
    while (left > 0)
        left -= drain(rig.fds[0], left);
    /* The writer's thread makes room as this one reads, until a line fits. */
    do {
        log_write(rig.log, LOG_LEVEL_INFO, "Afterwards", NULL);
        written++;
        read_once(&rig);
    } while (!ends_with(&rig.text, "\"Afterwards\"}\n"));
    /* No more than such lines are left: the last one fits too, and tells what was dropped before it. */
    log_write(rig.log, LOG_LEVEL_INFO, "The last", NULL);
    written++;
    while (!ends_with(&rig.text, "\"The last\"}\n"))
        read_once(&rig);
    finish(&rig);
    assert_int_equal(accounted(&rig.text), written);
    assert_true(count_of(&rig.text, "\"message\":\"A flood\"") < LINES);
    buffer_release(&rig.text);
}

static void test_an_end_with_a_stalled_reader_ends(void **state)
{
    struct rig rig;

    (void)state;
    start(&rig, LOG_LEVEL_INFO, true);
    fill(rig.fds[1]);
    log_write(rig.log, LOG_LEVEL_INFO, "Never read", NULL);
    log_free(rig.log);
    close(rig.fds[0]);
    close(rig.fds[1]);
    buffer_release(&rig.text);
}

static void test_the_limiter_lets_one_through_and_counts_the_others(void **state)
{
    struct log_limiter limiter = {0};
    int64_t suppressed = -1;
    int64_t turned_away = 0;
    int64_t told = 0;
    int allowed = 0;

    (void)state;
    assert_true(log_limiter_allow(&limiter, &suppressed));
    assert_int_equal(suppressed, 0);
    /* However long this takes: each call is either allowed, or told of by a later one. */
    while (allowed < 2) {
        if (log_limiter_allow(&limiter, &suppressed)) {
            told += suppressed;
            assert_int_equal(told, turned_away);
            allowed++;
        } else {
            turned_away++;
        }
    }
    assert_true(turned_away > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_is_one_json_object_with_its_fields),
        cmocka_unit_test(test_no_text_breaks_a_json_line),
        cmocka_unit_test(test_lines_below_the_level_are_not_written),
        cmocka_unit_test(test_without_a_log_nothing_is_written),
        cmocka_unit_test(test_the_text_form_shows_message_and_fields_in_one_line),
        cmocka_unit_test(test_the_text_form_gives_a_terminal_no_commands),
        cmocka_unit_test(test_the_text_form_gives_a_terminal_no_commands_beyond_ascii_either),
        cmocka_unit_test(test_a_stalled_reader_stalls_nobody_and_dropped_lines_are_told),
        cmocka_unit_test(test_an_end_with_a_stalled_reader_ends),
        cmocka_unit_test(test_the_limiter_lets_one_through_and_counts_the_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
