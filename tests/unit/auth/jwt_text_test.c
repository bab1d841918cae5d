#include "auth/jwt_text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/base64url.h"
#include "tests/unit/auth/token_maker.h"

/* From memory of exactly that size, so that a read behind its end is found. */
static int parse(const char *token, size_t size)
{
    char *exact = malloc(size ? size : 1);
    struct jwt_text text;
    int status;

    memcpy(exact, token, size);
    status = jwt_text_parse(exact, size, &text);
    if (status == 0)
        jwt_text_release(&text);
    free(exact);
    return status;
}

static int parse_header(const char *header)
{
    char *token = token_of(header, "{}", "s", 1);
    int status = parse(token, strlen(token));

    free(token);
    return status;
}

static void test_the_parts_are_given(void **state)
{
    char *token = token_of("{\"alg\":\"ES256\",\"kid\":\"k/../1\",\"typ\":\"at+jwt\"}", "{\"a\":1}", "sign", 4);
    struct jwt_text text;

    (void)state;
    assert_int_equal(jwt_text_parse(token, strlen(token), &text), 0);
    assert_int_equal(text.algorithm, ALGORITHM_ES256);
    assert_true(text.has_kid);
    assert_string_equal(text.kid, "k/../1");
    assert_ptr_equal(text.signing_input, token);
    assert_ptr_equal(token + text.signing_input_size, strrchr(token, '.'));
    assert_int_equal(text.payload_size, 7);
    assert_memory_equal(text.payload, "{\"a\":1}", 7);
    assert_int_equal(text.signature_size, 4);
    assert_memory_equal(text.signature, "sign", 4);
    jwt_text_release(&text);
    free(token);
}

static void test_anything_but_three_full_segments_is_malformed(void **state)
{
    /* eyJhbGciOiJIUzI1NiJ9 is {"alg":"HS256"} */
    static const char *const bad[] = {"",
                                      ".",
                                      "..",
                                      "...",
                                      "a",
                                      "a.b",
                                      "a.b.c",
                                      "....",
                                      "eyJhbGciOiJIUzI1NiJ9",
                                      "eyJhbGciOiJIUzI1NiJ9.e30",
                                      "eyJhbGciOiJIUzI1NiJ9.e30.",
                                      "eyJhbGciOiJIUzI1NiJ9..c2ln",
                                      ".e30.c2ln",
                                      "eyJhbGciOiJIUzI1NiJ9.e30.c2ln.",
                                      "eyJhbGciOiJIUzI1NiJ9.e30.c2ln.c2ln",
                                      "eyJhbGciOiJIUzI1NiJ9.e30.c2ln.c2ln.c2ln",
                                      " eyJhbGciOiJIUzI1NiJ9.e30.c2ln",
                                      "eyJhbGciOiJIUzI1NiJ9.e30.c2ln ",
                                      "eyJhbGciOiJIUzI1NiJ9.e30.c2ln\n",
                                      "eyJhbGciOiJIUzI1NiJ9.e30=.c2ln",
                                      "eyJhbGciOiJIUzI1NiJ9.e31.c2ln",
                                      "eyJhbGciOiJIUzI1NiJ9.e30.c2lnA",
                                      "eyJhbGciOiJIUzI1NiJ9.e+0.c2ln"};

    (void)state;
    assert_int_equal(parse("eyJhbGciOiJIUzI1NiJ9.e30.c2ln", 29), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (parse(bad[i], strlen(bad[i])) != -EINVAL)
            fail_msg("\"%s\" was accepted", bad[i]);
    assert_int_equal(parse("eyJhbGciOiJIUzI1NiJ9.e30.c2\0n", 29), -EINVAL);
    assert_int_equal(parse("eyJhbGciOiJIUzI1NiJ9.e30.c2ln\0", 30), -EINVAL);
}

static void test_every_beginning_of_a_token_is_malformed(void **state)
{
    char *token = token_of("{\"alg\":\"HS256\",\"kid\":\"x\"}", "{}", "s", 1);
    size_t size = strlen(token);

    (void)state;
    for (size_t i = 0; i + 1 < size; i++)
        assert_int_equal(parse(token, i), -EINVAL);
    free(token);
}

static void test_headers_are_read_strictly(void **state)
{
    static const char *const bad[] = {"{}",
                                      "[]",
                                      "1",
                                      "{\"alg\":\"HS256\"",
                                      "{\"alg\":\"HS256\"}x",
                                      "{\"alg\":1}",
                                      "{\"alg\":null}",
                                      "{\"alg\":[\"HS256\"]}",
                                      "{\"alg\":\"HS256\",\"alg\":\"HS256\"}",
                                      "{\"alg\":\"none\",\"alg\":\"HS256\"}",
                                      "{\"alg\":\"HS256\",\"crit\":[]}",
                                      "{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}",
                                      "{\"alg\":\"HS256\",\"crit\":null}",
                                      "{\"alg\":\"HS256\",\"typ\":1}",
                                      "{\"alg\":\"HS256\",\"kid\":1}",
                                      "{\"alg\":\"HS256\",\"kid\":null}",
                                      "{\"alg\":\"HS256\",\"kid\":\"a\\nb\"}",
                                      "{\"alg\":\"HS256\",\"kid\":\"a\\u0000b\"}",
                                      "{\"alg\":\"HS256\",\"kid\":\"a\\u007fb\"}",
                                      "{\"alg\":\"HS256\",\"kid\":\"\xff\"}"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (parse_header(bad[i]) != -EINVAL)
            fail_msg("%s was accepted", bad[i]);
    assert_int_equal(parse_header("{\"alg\":\"none\"}"), -ENOTSUP);
    assert_int_equal(parse_header("{\"alg\":\"\"}"), -ENOTSUP);
    assert_int_equal(parse_header(" {\"alg\":\"HS256\",\"jku\":\"http://evil\",\"x\":{}} "), 0);
}

static void test_a_kid_has_a_limit(void **state)
{
    char kid[258];

    (void)state;
    for (size_t size = 255; size <= 257; size++) {
        char *header;

        memset(kid, 'k', size);
        kid[size] = '\0';
        header = text_of("{\"alg\":\"HS256\",\"kid\":\"%s\"}", kid);
        assert_int_equal(parse_header(header), size <= 256 ? 0 : -EINVAL);
        free(header);
    }
}

static void test_a_token_has_a_limit(void **state)
{
    static const size_t sizes[] = {8191, 8192, 8193, 81920};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *token = malloc(sizes[i]);
        static const char head[] = "eyJhbGciOiJIUzI1NiJ9.e30.";

        memset(token, 'A', sizes[i]);
        memcpy(token, head, strlen(head));
        /* A remainder of one character encodes nothing. */
        if ((sizes[i] - strlen(head)) % 4 != 1)
            assert_int_equal(parse(token, sizes[i]), sizes[i] <= 8192 ? 0 : -EINVAL);
        else
            assert_int_equal(parse(token, sizes[i]), -EINVAL);
        free(token);
    }
}

static void test_base64url_has_one_spelling(void **state)
{
    unsigned char bytes[16];
    static const char *const bad[] = {"A", "AB", "AAB", "AAAAA", "A=", "AA==", "+A", "/A", "A A", "AA\n", "\xc3\xa9"};

    (void)state;
    assert_int_equal(base64url_decode("", 0, bytes), 0);
    assert_int_equal(base64url_decode("_-8", 3, bytes), 2);
    assert_memory_equal(bytes, "\xff\xef", 2);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (base64url_decode(bad[i], strlen(bad[i]), bytes) != -EINVAL)
            fail_msg("%s was accepted", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_parts_are_given),
        cmocka_unit_test(test_anything_but_three_full_segments_is_malformed),
        cmocka_unit_test(test_every_beginning_of_a_token_is_malformed),
        cmocka_unit_test(test_headers_are_read_strictly),
        cmocka_unit_test(test_a_kid_has_a_limit),
        cmocka_unit_test(test_a_token_has_a_limit),
        cmocka_unit_test(test_base64url_has_one_spelling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
