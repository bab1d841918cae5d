#include "core/json_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX_SIZE = 256 * 1024 };

/* A text of MAX_SIZE bytes: `head`, `body` as often as there is room for it and as many times `closing`, `tail`, and white space. */
struct shape {
    const char *what;
    const char *head;
    const char *body;
    const char *closing;
    const char *tail;
    enum json_scan_result result;
};

#define COMPANY "{\"companyId\":\"acme\",\"a\":"

/* What costs yajl most. */
static const struct shape worst[] = {
    {"a long string", COMPANY "\"", "x", "", "\"}", JSON_SCAN_OK},
    {"a long string with one escape", COMPANY "\"\\n", "x", "", "\"}", JSON_SCAN_OK},
    {"nothing but escapes", COMPANY "\"", "\\n", "", "\"}", JSON_SCAN_OK},
    {"escaped letters", COMPANY "\"", "\\u00e9", "", "\"}", JSON_SCAN_OK},
    {"escaped pairs", COMPANY "\"", "\\ud83d\\ude00", "", "\"}", JSON_SCAN_OK},
    {"lone halves of pairs", COMPANY "\"", "\\ud800", "", "\"}", JSON_SCAN_OK},
    {"a long key with escapes", "{\"companyId\":\"acme\",\"\\t", "k", "", "\":1}", JSON_SCAN_OK},
    {"many strings with escapes", COMPANY "[0", ",\"\\n\"", "", "]}", JSON_SCAN_OK},
    {"deep lists", COMPANY, "[", "]", "}", JSON_SCAN_OK},
    {"deep objects", COMPANY "1,\"b\":0", ",\"c\":{\"d\":0", "}", "}", JSON_SCAN_OK},
    {"deep lists that never end", COMPANY, "[", "", "", JSON_SCAN_NOT_JSON},
    {"deep lists and a string with an escape in each", COMPANY "1", ",\"b\":[\"\\n\"", "", "", JSON_SCAN_NOT_JSON},
    {"a long number", COMPANY, "7", "", "}", JSON_SCAN_OK},
    {"a string that never ends", COMPANY "\"\\n", "x", "", "", JSON_SCAN_NOT_JSON},
    {"a number that never ends", COMPANY, "7", "", "", JSON_SCAN_NOT_JSON},
};

static char *text_of(const struct shape *shape)
{
    char *text = malloc(MAX_SIZE);
    size_t ends = strlen(shape->head) + strlen(shape->tail);
    size_t count = (MAX_SIZE - ends) / (strlen(shape->body) + strlen(shape->closing));
    char *at = text;

    assert_non_null(text);
    at = mempcpy(at, shape->head, strlen(shape->head));
    for (size_t i = 0; i < count; i++)
        at = mempcpy(at, shape->body, strlen(shape->body));
    for (size_t i = 0; i < count; i++)
        at = mempcpy(at, shape->closing, strlen(shape->closing));
    at = mempcpy(at, shape->tail, strlen(shape->tail));
    memset(at, ' ', (size_t)(text + MAX_SIZE - at));
    return text;
}

/* A text of three parts that are each as long as can be: an escaped string, open lists, and a string that breaks off. */
static char *text_of_thirds(void)
{
    static const char begin[] = COMPANY "[\"\\n";
    char *text = malloc(MAX_SIZE);

    assert_non_null(text);
    memset(text, 'x', MAX_SIZE);
    memcpy(text, begin, strlen(begin));
    memcpy(text + MAX_SIZE / 3, "\",", 2);
    memset(text + MAX_SIZE / 3 + 2, '[', MAX_SIZE / 3);
    text[MAX_SIZE / 3 * 2 + 2] = '"';
    return text;
}

static enum json_scan_result scan(struct json_scanner *scanner, const char *text, size_t size)
{
    char value[129] = "";
    enum json_scan_result result = json_scan_member(scanner, text, size, "companyId", value, sizeof value);

    if (result == JSON_SCAN_OK)
        assert_string_equal(value, "acme");
    return result;
}

/* yajl checks no allocation of its own: were one made, and refused, it would write to address 0. */
static void test_no_text_needs_memory_that_was_not_reserved(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof worst / sizeof worst[0]; i++) {
        struct json_scanner *scanner = json_scanner_new(MAX_SIZE);
        char *text = text_of(&worst[i]);
        int status;
        pid_t child;

        assert_non_null(scanner);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct rlimit none = {0, 0};

            setrlimit(RLIMIT_DATA, &none);
            _exit(scan(scanner, text, MAX_SIZE) == worst[i].result ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        if (status != 0)
            fail_msg("%s: status %#x", worst[i].what, (unsigned)status);
        json_scanner_free(scanner);
        free(text);
    }
}

static void test_a_scanner_has_room_for_the_largest_text_again_and_again(void **state)
{
    struct json_scanner *scanner = json_scanner_new(MAX_SIZE);
    char *thirds = text_of_thirds();

    (void)state;
    for (int round = 0; round < 3; round++) {
        assert_int_equal(scan(scanner, thirds, MAX_SIZE), JSON_SCAN_NOT_JSON);
        for (size_t i = 0; i < sizeof worst / sizeof worst[0]; i++) {
            char *text = text_of(&worst[i]);

            if (scan(scanner, text, MAX_SIZE) != worst[i].result)
                fail_msg("%s: another result", worst[i].what);
            free(text);
        }
    }
    free(thirds);
    json_scanner_free(scanner);
}

/* Where rooms double, each size just below and just above a power of two is another case. */
static void test_a_scanner_of_any_size_has_room_for_texts_of_its_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof worst / sizeof worst[0]; i++) {
        char *text = text_of(&worst[i]);

        for (size_t power = 64; power <= MAX_SIZE / 2; power *= 2)
            for (size_t size = power - 1; size <= power + 1; size++) {
                struct json_scanner *scanner = json_scanner_new(size);

                /* Cut off in the middle. */
                assert_int_equal(scan(scanner, text, size), JSON_SCAN_NOT_JSON);
                json_scanner_free(scanner);
            }
        free(text);
    }
}

static void test_a_text_above_the_size_is_not_looked_at(void **state)
{
    static const char text[] = "{\"companyId\":\"acme\"}";
    struct json_scanner *scanner = json_scanner_new(strlen(text));

    (void)state;
    assert_int_equal(scan(scanner, text, strlen(text)), JSON_SCAN_OK);
    assert_int_equal(scan(scanner, "{\"companyId\":\"acme\"} ", strlen(text) + 1), JSON_SCAN_TOO_LARGE);
    json_scanner_free(scanner);
    json_scanner_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_text_needs_memory_that_was_not_reserved),
        cmocka_unit_test(test_a_scanner_has_room_for_the_largest_text_again_and_again),
        cmocka_unit_test(test_a_scanner_of_any_size_has_room_for_texts_of_its_size),
        cmocka_unit_test(test_a_text_above_the_size_is_not_looked_at),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
