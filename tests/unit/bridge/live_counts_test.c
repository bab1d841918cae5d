#include "bridge/live.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct live_header header = {.type = LIVE_COUNTS, .from = {{1}}, .about = {{2}}, .batch = 7};

static struct buffer message_of(struct live_counts counts)
{
    struct buffer message = buffer_make(100000);

    live_begin(&message, &header);
    live_begin_counts(&message, &counts);
    return message;
}

/* Reads the message to its end. Returns 0, or what refused it; and how many companies there were. */
static int read_all(const struct buffer *message, size_t *ret_count)
{
    struct live_reader reader;
    struct live_header back;
    struct live_counts counts;
    char company[COMPANY_ID_SIZE];
    uint32_t connections;
    char *exact = malloc(message->size + 1); /* so that a read beyond the end is seen */
    int status;

    assert_non_null(exact);
    memcpy(exact + 1, message->data, message->size);
    *ret_count = 0;
    status = live_read_header(&reader, exact + 1, message->size, &back);
    if (status == 0)
        status = live_read_counts(&reader, &counts);
    while (status == 0 && live_read_count(&reader, company, &connections) > 0)
        ++*ret_count;
    free(exact);
    return status;
}

/* Frees the message. */
static void check(struct buffer message, bool is_good)
{
    size_t count;

    assert_false(message.failed);
    assert_int_equal(read_all(&message, &count), is_good ? 0 : -EINVAL);
    buffer_release(&message);
}

static void test_counts_are_read_as_they_were_written(void **state)
{
    struct buffer message =
        message_of((struct live_counts){.connections = 70005, .companies = 9, .listed = 3, .offset = 1});
    struct live_reader reader;
    struct live_header back;
    struct live_counts counts;
    char company[COMPANY_ID_SIZE];
    uint32_t connections;

    (void)state;
    live_put_count(&message, "acme", 70000);
    live_put_count(&message, "other.co", 1);
    assert_int_equal(live_read_header(&reader, message.data, message.size, &back), 0);
    assert_int_equal(back.type, LIVE_COUNTS);
    assert_int_equal(back.batch, 7);
    assert_int_equal(live_read_counts(&reader, &counts), 0);
    assert_int_equal(counts.connections, 70005);
    assert_int_equal(counts.companies, 9);
    assert_int_equal(counts.listed, 3);
    assert_int_equal(counts.offset, 1);
    assert_int_equal(live_read_count(&reader, company, &connections), 1);
    assert_string_equal(company, "acme");
    assert_int_equal(connections, 70000);
    assert_int_equal(live_read_count(&reader, company, &connections), 1);
    assert_string_equal(company, "other.co");
    assert_int_equal(connections, 1);
    assert_int_equal(live_read_count(&reader, company, &connections), 0);
    assert_string_equal(company, "other.co");
    buffer_release(&message);
}

static void test_counts_that_were_cut_are_refused(void **state)
{
    struct buffer message = message_of((struct live_counts){.connections = 5, .companies = 2, .listed = 2});
    size_t whole;
    size_t without_last;
    size_t count;

    (void)state;
    live_put_count(&message, "acme", 3);
    without_last = message.size;
    live_put_count(&message, "other.co", 2);
    whole = message.size;
    assert_int_equal(read_all(&message, &count), 0);
    assert_int_equal(count, 2);
    /* The other company may come in the next part. */
    for (message.size = 0; message.size < whole; message.size++)
        assert_int_equal(read_all(&message, &count), message.size == without_last ? 0 : -EINVAL);
    buffer_release(&message);
}

static void test_counts_that_contradict_themselves_are_refused(void **state)
{
    static const struct {
        struct live_counts counts;
        size_t companies; /* that the part lists */
        bool is_good;
    } cases[] = {
        {{0, 0, 0, 0}, 0, true},
        {{1, 1, 1, 0}, 1, true},
        {{1, 1, 1, 0}, 0, false}, /* a part says something */
        {{1, 1, 0, 0}, 0, true},
        {{1, 1, 0, 0}, 1, false},
        {{1, 2, 1, 0}, 1, false}, /* more companies than streams */
        {{3, 1, 2, 0}, 1, false}, /* more are listed than there are */
        {{9, 9, 2, 1}, 1, true},
        {{9, 9, 2, 1}, 2, false}, /* more than the parts list together */
        {{9, 9, 2, 2}, 0, false},
        {{9, 9, 2, 3}, 1, false},
        {{UINT32_MAX, UINT32_MAX, LIVE_COMPANIES_MAX, LIVE_COMPANIES_MAX - 1}, 1, true},
        {{UINT32_MAX, UINT32_MAX, LIVE_COMPANIES_MAX + 1, 0}, 1, false},
        {{UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX - 1}, 1, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer message = message_of(cases[i].counts);

        for (size_t k = 0; k < cases[i].companies; k++)
            live_put_count(&message, k == 0 ? "acme" : "other", 1);
        check(message, cases[i].is_good);
    }
}

static void test_counts_of_what_is_no_company_are_refused(void **state)
{
    static const char *const names[] = {"", ".acme", "a c", "a\"b", "a\n"};

    (void)state;
    for (size_t i = 0; i <= sizeof names / sizeof names[0]; i++) {
        struct buffer message = message_of((struct live_counts){.connections = 2, .companies = 2, .listed = 2});

        live_put_count(&message, "acme", 1);
        live_put_count(&message, i == 0 ? "other" : names[i - 1], 1);
        check(message, i == 0);
    }
}

static void test_a_company_without_streams_is_not_listed(void **state)
{
    struct buffer message = message_of((struct live_counts){.connections = 1, .companies = 1, .listed = 1});

    (void)state;
    live_put_count(&message, "acme", 0);
    check(message, false);
}

/* Sections are in other messages, and what is no body is none. */
static void test_bodies_are_not_mixed_up(void **state)
{
    struct live_header ask = header;
    struct buffer message = buffer_make(1000);
    struct live_reader reader;
    struct live_header back;

    (void)state;
    ask.type = LIVE_ASK;
    live_begin(&message, &ask);
    assert_int_equal(live_read_header(&reader, message.data, message.size, &back), 0);
    assert_int_equal(back.type, LIVE_ASK);
    live_begin_counts(&message, &(struct live_counts){.connections = 0});
    assert_int_equal(live_read_header(&reader, message.data, message.size, &back), -EINVAL);
    buffer_release(&message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_are_read_as_they_were_written),
        cmocka_unit_test(test_counts_that_were_cut_are_refused),
        cmocka_unit_test(test_counts_that_contradict_themselves_are_refused),
        cmocka_unit_test(test_counts_of_what_is_no_company_are_refused),
        cmocka_unit_test(test_a_company_without_streams_is_not_listed),
        cmocka_unit_test(test_bodies_are_not_mixed_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
