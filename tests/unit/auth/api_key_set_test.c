#include "auth/api_key_set.h"

#include <errno.h>
#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/random_text.h"

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char presented[] = "slk_test-key-number-one";

static void assert_bad(const char *line)
{
    struct buffer errors = buffer_make(65536);
    struct api_key_set *set = NULL;
    int status = api_key_set_from_text(line, strlen(line), &errors, &set);

    if (status != -EINVAL)
        fail_msg("taken for a key: %s", line);
    assert_null(set);
    assert_true(errors.size > 8);
    assert_memory_equal(errors.data, "line 1: ", 8);
    assert_null(memmem(errors.data, errors.size, "89abcdef", 8));
    buffer_release(&errors);
}

static void test_a_bad_line_is_refused_and_its_hash_is_not_shown(void **state)
{
    static const char *const bad[] = {
        "x",
        HASH,
        "{",
        "[]",
        "\"" HASH "\"",
        "{\"id\":\"k\"}",
        "{\"sha256\":\"" HASH "\"}",
        "{\"id\":\"k\",\"sha256\":\"" HASH "\"} x",
        "{\"id\":\"k\",\"sha256\":\"" HASH "\",\"id\":\"k\"}",
        "{\"id\":\"\",\"sha256\":\"" HASH "\"}",
        "{\"id\":\"a b\",\"sha256\":\"" HASH "\"}",
        "{\"id\":\"a\\u0000b\",\"sha256\":\"" HASH "\"}",
        "{\"id\":7,\"sha256\":\"" HASH "\"}",
        "{\"id\":\"k\",\"sha256\":\"" HASH "0\"}",
        "{\"id\":\"k\",\"sha256\":\"g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}",
        "{\"id\":\"k\",\"sha256\":\"89abcdef\"}",
        "{\"id\":\"k\",\"sha256\":null}",
        "{\"id\":\"k\",\"sha256\":\"" HASH "\",\"companyId\":null}",
        "{\"id\":\"k\",\"sha256\":\"" HASH "\",\"companyId\":\"\"}",
        "{\"id\":\"k\",\"sha256\":\"" HASH "\",\"companyId\":\"a/b\"}",
        "{\"id\":\"k\",\"sha256\":\"" HASH "\",\"expires\":\"2027-02-30T00:00:00Z\"}",
        "{\"id\":\"k\",\"sha256\":\"" HASH "\",\"expires\":\"2027-01-01\"}",
        "{\"id\":\"k\",\"sha256\":\"" HASH "\",\"expires\":\"2027-01-01T00:00:00+01:00\"}",
        "{\"id\":\"k\",\"sha256\":\"" HASH "\",\"expires\":\"2027-01-01T24:00:00Z\"}",
        "{\"id\":\"k\",\"sha256\":\"" HASH "\",\"expires\":\"\"}",
        "{\"id\":\"k\",\"sha256\":\"" HASH "\",\"expires\":1798761600}",
        "{\"id\":\"k\",\"sha256\":\"" HASH "\",\"expires\":0}",
        "{\"id\":\"k\",\"sha256\":\"" HASH "\",\"expires\":-1}",
        "{\"id\":\"k\",\"sha256\":\"" HASH "\",\"expires\":1798761600000.5}",
        "{\"id\":\"k\",\"sha256\":\"" HASH "\",\"expires\":true}",
        "{\"id\":\"k\",\"sha256\":\"" HASH "\",\"expire\":1798761600000}",
        "{\"id\":\"k\",\"sha256\":\"" HASH "\",\"maxConnections\":0}",
        "{\"id\":\"k\",\"sha256\":\"" HASH "\",\"maxConnections\":1000001}",
        "{\"id\":\"k\",\"sha256\":\"" HASH "\",\"maxConnections\":\"5\"}",
        "{\"id\":\"k\",\"sha256\":\"" HASH "\",\"events\":[]}",
        "{\"id\":\"k\",\"sha256\":\"" HASH "\",\"events\":\"vis_*\"}",
        "{\"id\":\"k\",\"sha256\":\"" HASH "\",\"events\":[1]}",
        "{\"id\":\"k\",\"sha256\":\"" HASH "\",\"events\":[\"\"]}",
        "{\"id\":\"k\",\"sha256\":\"" HASH "\",\"events\":[\"a b\"]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_bad(bad[i]);
}

static void test_lists_and_lines_have_a_limit(void **state)
{
    char line[2 * API_KEY_MAX_LINE_BYTES];
    size_t used = (size_t)snprintf(line, sizeof line, "{\"id\":\"k\",\"sha256\":\"" HASH "\",\"events\":[\"a\"");

    (void)state;
    for (int i = 0; i < API_KEY_MAX_EVENTS; i++)
        used += (size_t)snprintf(line + used, sizeof line - used, ",\"a\"");
    snprintf(line + used, sizeof line - used, "]}");
    assert_bad(line);
    memset(line, ' ', sizeof line);
    snprintf(line + sizeof line - 100, 100, "{\"id\":\"k\",\"sha256\":\"" HASH "\"}");
    line[0] = '{';
    assert_bad(line);
}

static void hash_of(const char *key, char ret_hex[65])
{
    unsigned char hash[API_KEY_HASH_BYTES];

    assert_int_equal(api_key_hash(key, strlen(key), hash), 0);
    hex_format(hash, sizeof hash, ret_hex);
}

static struct api_key_set *set_of(const char *text)
{
    struct buffer errors = buffer_make(65536);
    struct api_key_set *set = NULL;
    int status = api_key_set_from_text(text, strlen(text), &errors, &set);

    if (status != 0)
        fail_msg("%d: %.*s", status, (int)errors.size, errors.data);
    buffer_release(&errors);
    return set;
}

static void test_a_key_is_found_with_all_that_it_has(void **state)
{
    char hex[65];
    char text[1024];
    struct api_key_set *set;
    const struct api_key *key;

    (void)state;
    hash_of(presented, hex);
    snprintf(
        text, sizeof text,
        "# keys\n\n \t\r\n{\"id\":\"k_1\",\"sha256\":\"%s\",\"companyId\":\"acme\",\"expires\":\"2027-01-01T00:00:00Z\","
        "\"maxConnections\":7,\"events\":[\"metric_updated\",\"vis_*\"]}\r\n"
        "  {\"id\":\"k_2\",\"sha256\":\"" HASH "\",\"expires\":1798761600000}",
        hex);
    set = set_of(text);
    assert_int_equal(api_key_set_count(set), 2);
    key = api_key_set_find(set, presented, strlen(presented));
    assert_non_null(key);
    assert_string_equal(key->id, "k_1");
    assert_string_equal(key->company, "acme");
    assert_true(key->expires_ms == INT64_C(1798761600000));
    assert_int_equal(key->max_connections, 7);
    assert_true(api_key_has_event(key, "vis_updated"));
    assert_true(api_key_has_event(key, "metric_updated"));
    assert_false(api_key_has_event(key, "metric_updated2"));
    assert_false(api_key_is_expired(key, INT64_C(1798761599999)));
    assert_true(api_key_is_expired(key, INT64_C(1798761600000)));
    key = api_key_set_find_id(set, "k_2");
    assert_non_null(key);
    assert_null(key->company);
    assert_true(key->expires_ms == INT64_C(1798761600000));
    assert_int_equal(key->max_connections, 0);
    assert_true(api_key_has_event(key, "anything"));
    assert_null(api_key_set_find_id(set, "k_3"));
    api_key_set_unref(set);
}

static void test_what_is_presented_must_be_the_key(void **state)
{
    char hex[65];
    char text[256];
    char longest[API_KEY_MAX_BYTES + 1];
    struct api_key_set *set;
    struct api_key_set *empty = set_of("");

    (void)state;
    hash_of(presented, hex);
    snprintf(text, sizeof text, "{\"id\":\"k_1\",\"sha256\":\"%s\"}", hex);
    set = set_of(text);
    memset(longest, 'k', sizeof longest);
    assert_non_null(api_key_set_find(set, presented, strlen(presented)));
    assert_null(api_key_set_find(set, presented, strlen(presented) - 1));
    assert_null(api_key_set_find(set, "slk_test-key-number-onE", strlen(presented)));
    assert_null(api_key_set_find(set, hex, strlen(hex)));
    assert_null(api_key_set_find(set, "", 0));
    assert_null(api_key_set_find(set, longest, sizeof longest));
    assert_null(api_key_set_find(set, "slk_test key-number-one", strlen(presented)));
    assert_null(api_key_set_find(set, "slk_test-key-number-on\xe9", strlen(presented)));
    assert_null(api_key_set_find(set, "slk_test-key\0number-one", strlen(presented)));
    assert_null(api_key_set_find(empty, presented, strlen(presented)));
    api_key_set_unref(empty);
    api_key_set_unref(set);
}

static void test_every_bad_line_is_listed(void **state)
{
    static const char text[] = "# x\nbad\n{\"id\":\"k\",\"sha256\":\"" HASH "\"}\n\nworse\n";
    struct buffer errors = buffer_make(65536);
    struct api_key_set *set = NULL;

    (void)state;
    assert_int_equal(api_key_set_from_text(text, strlen(text), &errors, &set), -EINVAL);
    assert_non_null(memmem(errors.data, errors.size, "line 2: ", 8));
    assert_non_null(memmem(errors.data, errors.size, "line 5: ", 8));
    assert_null(memmem(errors.data, errors.size, "line 3: ", 8));
    buffer_release(&errors);
}

static void test_nothing_is_there_twice(void **state)
{
    static const char *const twice[] = {
        "{\"id\":\"a\",\"sha256\":\"" HASH "\"}\n{\"id\":\"b\",\"sha256\":\"" HASH "\"}",
        "{\"id\":\"a\",\"sha256\":\"" HASH "\"}\n"
        "{\"id\":\"a\",\"sha256\":\"1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}",
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct buffer errors = buffer_make(65536);
        struct api_key_set *set = NULL;

        assert_int_equal(api_key_set_from_text(twice[i], strlen(twice[i]), &errors, &set), -EINVAL);
        assert_true(errors.size > 0);
        assert_memory_equal(errors.data, "line ", 5);
        buffer_release(&errors);
    }
}

static void test_a_field_holds_the_key_of_its_name(void **state)
{
    static const char text[] = "{\"id\":\"a\",\"sha256\":\"" HASH "\"}";
    struct api_key_line line = {.label = "a", .text = text, .size = strlen(text)};
    struct buffer errors = buffer_make(65536);
    struct api_key_set *set = NULL;

    (void)state;
    assert_int_equal(api_key_set_from_lines(&line, 1, &errors, &set), 0);
    api_key_set_unref(set);
    line.label = "b";
    assert_int_equal(api_key_set_from_lines(&line, 1, &errors, &set), -EINVAL);
    assert_memory_equal(errors.data, "b: ", 3);
    buffer_release(&errors);
}

static void test_a_set_has_a_largest_size(void **state)
{
    size_t room = (API_KEY_SET_MAX + 1) * (size_t)96;
    char *text = malloc(room);
    struct buffer errors = buffer_make(65536);
    struct api_key_set *set = NULL;
    size_t used = 0;
    size_t last = 0;

    (void)state;
    assert_non_null(text);
    for (int i = 0; i <= API_KEY_SET_MAX; i++) {
        last = used;
        used += (size_t)snprintf(text + used, room - used, "{\"id\":\"k%d\",\"sha256\":\"%064d\"}\n", i, i);
    }
    assert_int_equal(api_key_set_from_text(text, used, &errors, &set), -EINVAL);
    assert_null(set);
    assert_int_equal(api_key_set_from_text(text, last, &errors, &set), 0);
    assert_int_equal(api_key_set_count(set), API_KEY_SET_MAX);
    assert_non_null(api_key_set_find_id(set, "k99999"));
    api_key_set_unref(set);
    buffer_release(&errors);
    free(text);
}

static void test_a_stream_goes_on_while_its_key_is_the_same(void **state)
{
    struct api_key_set *set = set_of("{\"id\":\"a\",\"sha256\":\"" HASH "\",\"companyId\":\"acme\"}\n"
                                     "{\"id\":\"b\",\"sha256\":\"1123456789abcdef0123456789abcdef0123456789abcdef"
                                     "0123456789abcdef\",\"expires\":1798761600000}");
    const struct api_key *a = api_key_set_find_id(set, "a");
    const struct api_key *b = api_key_set_find_id(set, "b");
    const int64_t now_ms = INT64_C(1798761600000);

    (void)state;
    assert_true(api_key_set_keeps(set, "a", a->hash, "acme", now_ms));
    assert_false(api_key_set_keeps(set, "a", b->hash, "acme", now_ms));
    assert_false(api_key_set_keeps(set, "a", a->hash, "other", now_ms));
    assert_false(api_key_set_keeps(set, "a", a->hash, NULL, now_ms));
    assert_false(api_key_set_keeps(set, "c", a->hash, "acme", now_ms));
    assert_true(api_key_set_keeps(set, "b", b->hash, NULL, now_ms - 1));
    assert_false(api_key_set_keeps(set, "b", b->hash, NULL, now_ms));
    api_key_set_unref(api_key_set_ref(set));
    api_key_set_unref(set);
    api_key_set_unref(NULL);
}

static void test_keys_made_are_long_and_different(void **state)
{
    char a[API_KEY_TEXT_SIZE];
    char b[API_KEY_TEXT_SIZE];
    char id[API_KEY_ID_SIZE];

    (void)state;
    assert_int_equal(api_key_generate(a), 0);
    assert_int_equal(api_key_generate(b), 0);
    assert_int_equal(strlen(a), 47);
    assert_memory_equal(a, "slk_", 4);
    assert_int_equal(strspn(a + 4, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), 43);
    assert_string_not_equal(a, b);
    assert_int_equal(api_key_generate_id(id), 0);
    assert_int_equal(strlen(id), 18);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_bad_line_is_refused_and_its_hash_is_not_shown),
        cmocka_unit_test(test_lists_and_lines_have_a_limit),
        cmocka_unit_test(test_a_key_is_found_with_all_that_it_has),
        cmocka_unit_test(test_what_is_presented_must_be_the_key),
        cmocka_unit_test(test_every_bad_line_is_listed),
        cmocka_unit_test(test_nothing_is_there_twice),
        cmocka_unit_test(test_a_field_holds_the_key_of_its_name),
        cmocka_unit_test(test_a_set_has_a_largest_size),
        cmocka_unit_test(test_a_stream_goes_on_while_its_key_is_the_same),
        cmocka_unit_test(test_keys_made_are_long_and_different),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
