#include "core/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/json_scan.h"

/* Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. */
static bool is_utf8(const unsigned char *text, size_t size)
{
    static const unsigned least[] = {0, 0x80, 0x800, 0x10000};

    for (size_t i = 0; i < size; i++) {
        unsigned code = text[i];
        size_t more = code < 0x80 ? 0 : code < 0xc0 ? 9 : code < 0xe0 ? 1 : code < 0xf0 ? 2 : code < 0xf8 ? 3 : 9;

        if (more == 0)
            continue;
        if (more == 9 || size - i <= more)
            return false;
        code &= 0x3fU >> more;
        for (size_t k = 1; k <= more; k++) {
            if ((text[i + k] & 0xc0) != 0x80)
                return false;
            code = code << 6 | (text[i + k] & 0x3fU);
        }
        if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
            return false;
        i += more;
    }
    return true;
}

static void assert_json(const struct json *json, const char *expected)
{
    size_t size;
    const char *text = json_text(json, &size);

    assert_non_null(text);
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(text, expected, size);
}

static void test_a_document_of_all_kinds_of_values(void **state)
{
    struct json *json = json_new();

    (void)state;
    json_begin_object(json);
    json_put_string(json, "text", "a\"b\\c\n");
    json_put_string(json, "nothing", NULL);
    json_put_number(json, "least", INT64_MIN);
    json_put_number(json, "most", INT64_MAX);
    json_put_bool(json, "yes", true);
    json_put_bool(json, "no", false);
    json_key(json, "object");
    json_begin_object(json);
    json_key(json, "zero");
    json_write_string(json, "x\0y", 3);
    json_end_object(json);
    json_key(json, "list");
    json_begin_array(json);
    json_write_number(json, 1);
    json_begin_array(json);
    json_end_array(json);
    json_end_array(json);
    json_end_object(json);
    assert_json(json, "{\"text\":\"a\\\"b\\\\c\\n\",\"nothing\":null,\"least\":-9223372036854775808,"
                      "\"most\":9223372036854775807,\"yes\":true,\"no\":false,"
                      "\"object\":{\"zero\":\"x\\u0000y\"},\"list\":[1,[]]}");
    json_free(json);
    json_free(NULL);
}

static void test_control_characters_are_escaped(void **state)
{
    struct json *json = json_new();
    const char *text;
    size_t size;
    char all[31];

    (void)state;
    for (int i = 0; i < 31; i++)
        all[i] = (char)(i + 1);
    json_write_string(json, all, sizeof all);
    text = json_text(json, &size);
    for (size_t i = 0; i < size; i++)
        assert_true((unsigned char)text[i] >= 0x20);
    json_free(json);
}

static void test_utf8_passes_unchanged(void **state)
{
    struct json *json = json_new();

    (void)state;
    json_write_string(json, "h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", 12);
    assert_json(json, "\"h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"");
    json_free(json);
}

static const char *const broken[] = {
    "\xff",             /* no UTF-8 byte at all */
    "\x80",             /* a continuation alone */
    "a\xc3",            /* cut */
    "\xe2\x82",         /* cut */
    "\xf0\x9f\x98",     /* cut */
    "\xc3(",            /* no continuation */
    "\xc0\x80",         /* overlong */
    "\xc1\xbf",         /* overlong */
    "\xe0\x80\xaf",     /* overlong */
    "\xf0\x80\x80\xaf", /* overlong */
    "\xed\xa0\x80",     /* a surrogate */
    "\xed\xbf\xbf",     /* a surrogate */
    "\xf4\x90\x80\x80", /* above U+10FFFF */
    "\xf7\xbf\xbf\xbf", /* above U+10FFFF */
    "\xf8\x88\x80\x80\x80",
};

static void test_the_output_is_valid_utf8_whatever_comes_in(void **state)
{
    size_t wrong = 0;

    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        struct json *json = json_new();
        const char *text;
        size_t size;

        json_begin_object(json);
        json_put_string(json, broken[i], broken[i]);
        json_end_object(json);
        text = json_text(json, &size);
        assert_non_null(text);
        if (!is_utf8((const unsigned char *)text, size)) {
            print_error("broken[%zu] went through\n", i);
            wrong++;
        }
        json_free(json);
    }
    assert_int_equal(wrong, 0);
}

static enum json_scan_result scan(const char *text, size_t size, char value[129])
{
    struct json_scanner *scanner = json_scanner_new(size);
    enum json_scan_result result;

    assert_non_null(scanner);
    result = json_scan_member(scanner, text, size, "companyId", value, 129);
    json_scanner_free(scanner);
    return result;
}

static void assert_scan(const char *text, enum json_scan_result expected)
{
    char value[129] = "untouched";
    enum json_scan_result result = scan(text, strlen(text), value);

    if (result != expected)
        fail_msg("%s: result %d instead of %d", text, (int)result, (int)expected);
    if (result != JSON_SCAN_OK)
        assert_string_equal(value, "untouched");
}

static void assert_member(const char *text, const char *expected)
{
    char value[129] = "";

    if (scan(text, strlen(text), value) != JSON_SCAN_OK)
        fail_msg("refused: %s", text);
    assert_string_equal(value, expected);
}

static void test_the_member_is_found_wherever_it_stands(void **state)
{
    (void)state;
    assert_member("{\"companyId\":\"acme\"}", "acme");
    assert_member(" \t\r\n{ \"a\" : 1 , \"companyId\" : \"acme\" } \n", "acme");
    assert_member("{\"a\":{\"b\":[{}]},\"companyId\":\"acme\",\"z\":null}", "acme");
    assert_member("{\"companyId\":\"\"}", "");
    assert_member("{\"companyId\":\"\\u0061cme\"}", "acme");
    assert_member("{\"company\\u0049d\":\"acme\"}", "acme");
    assert_member("{\"companyid\":\"x\",\"companyId \":\"y\",\"companyId\":\"acme\"}", "acme");
}

static void test_numbers_of_any_size_pass(void **state)
{
    (void)state;
    assert_member("{\"n\":123456789012345678901234567890123456789012345678901234567890,\"companyId\":\"a\"}", "a");
    assert_member("{\"n\":[1e400,-1e400,1E-999,0.1e+5000,-0],\"companyId\":\"a\"}", "a");
}

static void test_members_of_inner_objects_do_not_count(void **state)
{
    (void)state;
    assert_scan("{\"inner\":{\"companyId\":\"acme\"}}", JSON_SCAN_MISSING);
    assert_scan("{\"list\":[{\"companyId\":\"acme\"}]}", JSON_SCAN_MISSING);
    assert_scan("{\"companyId\":{\"companyId\":\"acme\"}}", JSON_SCAN_NOT_STRING);
    assert_scan("{\"companyId\":[\"acme\"]}", JSON_SCAN_NOT_STRING);
    assert_scan("{\"a\":\"companyId\",\"b\":\"acme\"}", JSON_SCAN_MISSING);
    assert_member("{\"i\":{\"companyId\":\"x\"},\"companyId\":\"acme\",\"j\":[{\"companyId\":\"y\"}]}", "acme");
}

static void test_a_second_member_of_the_name_is_told(void **state)
{
    (void)state;
    assert_scan("{\"companyId\":\"a\",\"companyId\":\"a\"}", JSON_SCAN_DUPLICATE);
    assert_scan("{\"companyId\":\"a\",\"\\u0063ompanyId\":\"b\"}", JSON_SCAN_DUPLICATE);
    assert_scan("{\"\\u0063ompanyId\":\"a\",\"companyId\":null}", JSON_SCAN_DUPLICATE);
    assert_scan("{\"companyId\":1,\"companyId\":\"b\"}", JSON_SCAN_DUPLICATE);
    assert_scan("{\"companyId\":{},\"companyId\":\"b\",\"companyId\":\"c\"}", JSON_SCAN_DUPLICATE);
}

static void test_only_strings_that_fit_are_values(void **state)
{
    char text[400];
    char expected[129];

    (void)state;
    assert_scan("{\"companyId\":null}", JSON_SCAN_NOT_STRING);
    assert_scan("{\"companyId\":true}", JSON_SCAN_NOT_STRING);
    assert_scan("{\"companyId\":7}", JSON_SCAN_NOT_STRING);
    assert_scan("{\"companyId\":1e400}", JSON_SCAN_NOT_STRING);
    assert_scan("{\"companyId\":\"a\\u0000b\"}", JSON_SCAN_NOT_STRING);
    assert_scan("{\"companyId\":\"\\u0000\"}", JSON_SCAN_NOT_STRING);
    memset(expected, 'c', 128);
    expected[128] = '\0';
    snprintf(text, sizeof text, "{\"companyId\":\"%s\"}", expected);
    assert_member(text, expected);
    snprintf(text, sizeof text, "{\"companyId\":\"%sc\"}", expected);
    assert_scan(text, JSON_SCAN_NOT_STRING);
    snprintf(text, sizeof text, "{\"companyId\":\"%s%s\"}", expected, expected);
    assert_scan(text, JSON_SCAN_NOT_STRING);
}

static void test_other_documents_than_objects_are_none(void **state)
{
    static const char *const texts[] = {"[]",   "[{\"companyId\":\"acme\"}]", "\"companyId\"", "1", "null", "true",
                                        "1e400"};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_scan(texts[i], JSON_SCAN_NOT_OBJECT);
}

static void test_what_is_no_json_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "{",
        "{\"companyId\":\"acme\"",
        "{\"companyId\":\"acme\"}}",
        "{\"companyId\":\"acme\"} x",
        "{\"companyId\":\"acme\"}{}",
        "{\"companyId\":\"acme\"},",
        "{companyId:\"acme\"}",
        "{'companyId':'acme'}",
        "{\"companyId\":\"acme\",}",
        "{\"companyId\":\"ac\nme\"}",
        "{\"companyId\":\"ac\x01me\"}",
        "{\"companyId\":\"acme\"/**/}",
        "//\n{\"companyId\":\"acme\"}",
        "{\"companyId\" \"acme\"}",
        "{\"companyId\":\"acme\",\"a\":01}",
        "{\"companyId\":\"acme\",\"a\":1.}",
        "{\"companyId\":\"acme\",\"a\":.5}",
        "{\"companyId\":\"acme\",\"a\":+1}",
        "{\"companyId\":\"acme\",\"a\":NaN}",
        "{\"companyId\":\"acme\",\"a\":0x1}",
        "{\"companyId\":\"acme\",\"a\":1e}",
        "{\"companyId\":\"acme\",\"a\":\"\\x\"}",
        "{\"companyId\":\"acme\",\"a\":\"\\u12g4\"}",
        "{\"companyId\":\"acme\",\"a\":tru}",
        "{\"companyId\":\"acme\",\"a\":[1 2]}",
        "{\"companyId\":\"acme\",\"a\":[1,]}",
        "{\"companyId\":\"acme\",1:2}",
        "\xef\xbb\xbf{\"companyId\":\"acme\"}",
        "nul",
        "{]",
        "[}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_scan(texts[i], JSON_SCAN_NOT_JSON);
}

static void test_a_nul_behind_the_document_is_garbage(void **state)
{
    char value[129];

    (void)state;
    assert_int_equal(scan("{\"companyId\":\"acme\"}\0", 21, value), JSON_SCAN_NOT_JSON);
    assert_int_equal(scan("{\"companyId\":\"a\0b\"}", 19, value), JSON_SCAN_NOT_JSON);
}

static void test_text_that_is_not_utf8_is_refused_anywhere(void **state)
{
    size_t wrong = 0;

    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        static const char *const shapes[] = {"{\"companyId\":\"acme\",\"a\":\"%s\"}",
                                             "{\"companyId\":\"acme\",\"%s\":1}", "{\"companyId\":\"%s\"}",
                                             "{\"companyId\":\"acme\"%s}"};

        for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++) {
            char value[129];
            char text[100];
            const char *mark = strstr(shapes[k], "%s");

            snprintf(text, sizeof text, "%.*s%s%s", (int)(mark - shapes[k]), shapes[k], broken[i], mark + 2);
            if (scan(text, strlen(text), value) != JSON_SCAN_NOT_JSON) {
                print_error("broken[%zu] was taken in %s\n", i, shapes[k]);
                wrong++;
            }
        }
    }
    assert_int_equal(wrong, 0);
}

static char *nested(size_t depth, char open, char close, size_t *ret_size)
{
    static const char head[] = "{\"companyId\":\"acme\",\"a\":";
    size_t head_size = strlen(head);
    char *text = malloc(head_size + 2 * depth + 2);

    assert_non_null(text);
    memcpy(text, head, head_size);
    memset(text + head_size, open, depth);
    memset(text + head_size + depth, close, depth);
    memcpy(text + head_size + 2 * depth, "}", 2);
    *ret_size = head_size + 2 * depth + 1;
    return text;
}

static void test_a_depth_of_100000_does_no_harm(void **state)
{
    char value[129] = "";
    size_t size;
    char *text = nested(100000, '[', ']', &size);

    (void)state;
    assert_int_equal(scan(text, size, value), JSON_SCAN_OK);
    assert_string_equal(value, "acme");
    assert_int_equal(scan(text, size - 1, value), JSON_SCAN_NOT_JSON);
    assert_int_equal(scan(text, size / 2, value), JSON_SCAN_NOT_JSON);
    free(text);
    text = nested(100000, '{', '}', &size);
    assert_int_equal(scan(text, size, value), JSON_SCAN_NOT_JSON);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_document_of_all_kinds_of_values),
        cmocka_unit_test(test_control_characters_are_escaped),
        cmocka_unit_test(test_utf8_passes_unchanged),
        cmocka_unit_test(test_the_output_is_valid_utf8_whatever_comes_in),
        cmocka_unit_test(test_the_member_is_found_wherever_it_stands),
        cmocka_unit_test(test_numbers_of_any_size_pass),
        cmocka_unit_test(test_members_of_inner_objects_do_not_count),
        cmocka_unit_test(test_a_second_member_of_the_name_is_told),
        cmocka_unit_test(test_only_strings_that_fit_are_values),
        cmocka_unit_test(test_other_documents_than_objects_are_none),
        cmocka_unit_test(test_what_is_no_json_is_refused),
        cmocka_unit_test(test_a_nul_behind_the_document_is_garbage),
        cmocka_unit_test(test_text_that_is_not_utf8_is_refused_anywhere),
        cmocka_unit_test(test_a_depth_of_100000_does_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
