#include "core/metrics.h"

#include <ctype.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The exposition, split into its lines. */
struct text {
    struct buffer buffer;
    char *lines[1000];
    size_t count;
};

static void read_all(const struct metrics *metrics, struct text *text)
{
    char *rest;

    text->buffer = buffer_make(1024 * 1024);
    text->count = 0;
    metrics_write(metrics, &text->buffer);
    assert_false(text->buffer.failed);
    assert_true(text->buffer.size > 0);
    assert_int_equal(text->buffer.data[text->buffer.size - 1], '\n');
    buffer_append(&text->buffer, "", 1);
    for (char *line = strtok_r(text->buffer.data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        text->lines[text->count++] = line;
}

static size_t name_size(const char *text)
{
    return isalpha((unsigned char)*text) || *text == '_'
               ? strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:")
               : 0;
}

/* A sample's value, and the end of its name and labels in ret_size. */
static double sample_value(const char *line, size_t *ret_size)
{
    const char *value = strrchr(line, ' ');
    char *end;
    double number;

    assert_non_null(value);
    *ret_size = (size_t)(value - line);
    number = strtod(value + 1, &end);
    assert_true(end > value + 1 && *end == '\0');
    return number;
}

static double value_of(const struct text *text, const char *sample)
{
    for (size_t i = 0; i < text->count; i++) {
        size_t size;
        double value;

        if (text->lines[i][0] == '#')
            continue;
        value = sample_value(text->lines[i], &size);
        if (size == strlen(sample) && memcmp(text->lines[i], sample, size) == 0)
            return value;
    }
    fail_msg("no sample %s", sample);
    return NAN;
}

/* `{name="value",…}` or nothing. */
static void assert_labels(const char *labels, size_t size)
{
    if (size == 0)
        return;
    assert_int_equal(labels[0], '{');
    assert_int_equal(labels[size - 1], '}');
    for (const char *at = labels + 1; at < labels + size - 1;) {
        size_t key = name_size(at);
        const char *end;

        assert_true(key > 0);
        assert_memory_equal(at + key, "=\"", 2);
        end = strchr(at + key + 2, '"');
        assert_non_null(end);
        at = end + (end[1] == ',' ? 2 : 1);
    }
}

/* Whether a sample of that name belongs to the family: a histogram has three kinds of samples. */
static bool is_of_family(const char *name, size_t size, const char *family, const char *type)
{
    static const char *const suffixes[] = {"_bucket", "_sum", "_count"};
    size_t family_size = strlen(family);

    if (strcmp(type, "histogram") != 0)
        return size == family_size && memcmp(name, family, size) == 0;
    for (size_t i = 0; i < 3; i++)
        if (size == family_size + strlen(suffixes[i]) && memcmp(name, family, family_size) == 0 &&
            memcmp(name + family_size, suffixes[i], strlen(suffixes[i])) == 0)
            return true;
    return false;
}

static void test_the_text_is_well_formed_and_each_family_stands_together(void **state)
{
    static char families[200][80];
    static char samples[1000][160];
    struct metrics *metrics = metrics_new();
    struct text text;
    char type[20] = "";
    size_t family_count = 0;
    size_t sample_count = 0;

    (void)state;
    read_all(metrics, &text);
    for (size_t i = 0; i < text.count; i++) {
        const char *line = text.lines[i];
        size_t size;

        if (strncmp(line, "# HELP ", 7) == 0) {
            size = name_size(line + 7);
            assert_true(size > 0 && line[7 + size] == ' ' && line[8 + size] != '\0');
            snprintf(families[family_count], sizeof families[0], "%.*s", (int)size, line + 7);
            for (size_t k = 0; k < family_count; k++)
                assert_string_not_equal(families[k], families[family_count]);
            family_count++;
            assert_true(i + 2 < text.count);
            line = text.lines[++i];
            assert_memory_equal(line, "# TYPE ", 7);
            assert_memory_equal(line + 7, families[family_count - 1], size);
            snprintf(type, sizeof type, "%s", line + 7 + size + 1);
            assert_true(strcmp(type, "counter") == 0 || strcmp(type, "gauge") == 0 || strcmp(type, "histogram") == 0);
            assert_int_not_equal(text.lines[i + 1][0], '#');
            continue;
        }
        assert_true(family_count > 0);
        sample_value(line, &size);
        assert_true(is_of_family(line, name_size(line), families[family_count - 1], type));
        assert_labels(line + name_size(line), size - name_size(line));
        snprintf(samples[sample_count], sizeof samples[0], "%.*s", (int)size, line);
        for (size_t k = 0; k < sample_count; k++)
            assert_string_not_equal(samples[k], samples[sample_count]);
        sample_count++;
        if (strcmp(type, "counter") == 0)
            assert_memory_equal(line + name_size(line) - 6, "_total", 6);
    }
    assert_true(sample_count > METRIC_COUNT);
    buffer_release(&text.buffer);
    metrics_free(metrics);
}

/* Sets every metric to a number of its own: each must stand behind exactly one sample. */
static void test_every_metric_shows_its_value(void **state)
{
    struct metrics *metrics = metrics_new();
    struct text text;

    (void)state;
    for (int i = 0; i < METRIC_COUNT; i++)
        metrics_set(metrics, (enum metric)i, 1000003 + i);
    read_all(metrics, &text);
    for (int i = 0; i < METRIC_COUNT; i++) {
        int found = 0;

        for (size_t k = 0; k < text.count; k++) {
            size_t size;

            if (text.lines[k][0] != '#' && sample_value(text.lines[k], &size) == 1000003 + i)
                found++;
        }
        if (found != 1)
            fail_msg("metric %d is shown %d times", i, found);
    }
    buffer_release(&text.buffer);
    metrics_free(metrics);
}

static void test_adding_and_setting(void **state)
{
    struct metrics *metrics = metrics_new();

    (void)state;
    metrics_add(metrics, METRIC_EVENTS_DELIVERED, 5);
    metrics_add(metrics, METRIC_EVENTS_DELIVERED, 7);
    metrics_set(metrics, METRIC_CONNECTIONS, 3);
    metrics_add(metrics, METRIC_CONNECTIONS, -1);
    assert_int_equal(metrics_get(metrics, METRIC_EVENTS_DELIVERED), 12);
    assert_int_equal(metrics_get(metrics, METRIC_CONNECTIONS), 2);
    assert_int_equal(metrics_get(metrics, METRIC_EVENTS_RECEIVED), 0);
    metrics_free(metrics);
    metrics_free(NULL);
}

static void test_the_latency_is_a_cumulative_histogram_in_seconds(void **state)
{
    static const char name[] = "sluice_delivery_latency_seconds";
    struct metrics *metrics = metrics_new();
    struct text text;
    double last = 0;
    double last_bound = 0;

    (void)state;
    metrics_observe_latency(metrics, 400000, 10);
    metrics_observe_latency(metrics, 500000, 1);
    metrics_observe_latency(metrics, 500001, 2);
    metrics_observe_latency(metrics, INT64_C(60000000000), 3);
    read_all(metrics, &text);
    assert_true(value_of(&text, "sluice_delivery_latency_seconds_bucket{le=\"0.0005\"}") == 11);
    assert_true(value_of(&text, "sluice_delivery_latency_seconds_bucket{le=\"0.001\"}") == 13);
    assert_true(value_of(&text, "sluice_delivery_latency_seconds_bucket{le=\"5\"}") == 13);
    assert_true(value_of(&text, "sluice_delivery_latency_seconds_bucket{le=\"+Inf\"}") == 16);
    assert_true(value_of(&text, "sluice_delivery_latency_seconds_count") == 16);
    assert_true(fabs(value_of(&text, "sluice_delivery_latency_seconds_sum") - 180.005500002) < 1e-6);
    for (size_t i = 0; i < text.count; i++) {
        const char *bound = strstr(text.lines[i], "{le=\"");
        size_t size;

        if (strncmp(text.lines[i], name, strlen(name)) != 0 || !bound)
            continue;
        assert_true(sample_value(text.lines[i], &size) >= last);
        assert_true(strtod(bound + 5, NULL) > last_bound);
        last = sample_value(text.lines[i], &size);
        last_bound = strtod(bound + 5, NULL);
    }
    buffer_release(&text.buffer);
    metrics_free(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_text_is_well_formed_and_each_family_stands_together),
        cmocka_unit_test(test_every_metric_shows_its_value),
        cmocka_unit_test(test_adding_and_setting),
        cmocka_unit_test(test_the_latency_is_a_cumulative_histogram_in_seconds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
