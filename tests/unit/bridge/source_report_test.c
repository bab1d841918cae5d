#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "bridge/source_report.h"

static FILE *file;
static struct source_report report;

static int set_up(void **state)
{
    (void)state;
    file = tmpfile();
    assert_non_null(file);
    report = (struct source_report){.log = log_new(fileno(file), LOG_LEVEL_DEBUG, true)};
    assert_non_null(report.log);
    return 0;
}

/* How often the message was logged. The log is at its end. */
static int count_of(const char *message)
{
    char line[1024];
    int count = 0;

    log_free(report.log);
    report.log = NULL;
    rewind(file);
    while (fgets(line, sizeof line, file))
        count += strstr(line, message) != NULL;
    return count;
}

static int tear_down(void **state)
{
    (void)state;
    log_free(report.log);
    fclose(file);
    return 0;
}

static void the_same_reason_is_told_once(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++)
        source_report_refusal(&report, NATS_CONNECTION_AUTH_FAILED, "Authorization Violation");
    assert_int_equal(count_of("NATS cannot be used"), 1);
}

static void another_reason_is_told_at_once(void **state)
{
    (void)state;
    source_report_refusal(&report, NATS_CONNECTION_AUTH_FAILED, "Authorization Violation");
    source_report_refusal(&report, NATS_SSL_ERROR, "certificate verify failed");
    source_report_refusal(&report, NATS_CONNECTION_AUTH_FAILED, "Authorization Violation");
    assert_int_equal(count_of("NATS cannot be used"), 3);
}

/* The library's last word on a connection that it tries to make again may be that of the server which then refuses it. */
static void a_refusal_is_told_also_behind_an_absence_for_the_same_reason(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        source_report_absence(&report, NULL);
        source_report_refusal(&report, NATS_INVALID_ARG, "the same");
    }
    assert_int_equal(count_of("NATS cannot be used"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_same_reason_is_told_once),
        TEST(another_reason_is_told_at_once),
        TEST(a_refusal_is_told_also_behind_an_absence_for_the_same_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
