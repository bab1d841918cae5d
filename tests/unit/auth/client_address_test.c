#include "auth/client_address.h"

#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char proxies[] = "10.0.0.0/8,::1/128,2001:db8:f::/48";

static const char *found(const char *peer_text, const char *forwarded, const char *x_forwarded_for)
{
    static char text[ADDRESS_TEXT_SIZE];
    struct client_address_headers headers = {.forwarded = forwarded, .x_forwarded_for = x_forwarded_for};
    struct prefix_list *trusted = NULL;
    struct address peer;
    struct address client;

    assert_int_equal(prefix_list_new(proxies, &trusted), 0);
    assert_int_equal(address_parse(peer_text, strlen(peer_text), &peer), 0);
    client = client_address_find(trusted, &peer, &headers);
    address_format(&client, text);
    prefix_list_free(trusted);
    return text;
}

static void test_an_untrusted_peer_is_believed_nothing(void **state)
{
    (void)state;
    assert_string_equal(found("203.0.113.9", NULL, NULL), "203.0.113.9");
    assert_string_equal(found("203.0.113.9", "for=192.0.2.1", "192.0.2.1"), "203.0.113.9");
    assert_string_equal(found("203.0.113.9", NULL, "10.0.0.1"), "203.0.113.9");
    assert_string_equal(found("::2", "for=192.0.2.1", NULL), "::2");
}

static void test_a_malformed_entry_leaves_the_last_good_one(void **state)
{
    static const char *const bad[] = {"",
                                      " ",
                                      "unknown",
                                      "_hidden",
                                      "1.2.3",
                                      "1.2.3.4:",
                                      "1.2.3.4:x",
                                      "1.2.3.4:99999",
                                      "[::1",
                                      "[1.2.3.4]",
                                      "[2001:db8::9]x",
                                      "[]",
                                      "1.2.3.4 5",
                                      "\"1.2.3.4\"",
                                      "\"",
                                      "a\\",
                                      "::1%lo",
                                      "2001:db8::9:80:x"};
    char header[128];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_string_equal(found("10.0.0.1", NULL, bad[i]), "10.0.0.1");
        snprintf(header, sizeof header, "192.0.2.1,%s,10.0.0.2", bad[i]);
        assert_string_equal(found("10.0.0.1", NULL, header), "10.0.0.2");
        snprintf(header, sizeof header, "%s,192.0.2.1,10.0.0.2", bad[i]);
        assert_string_equal(found("10.0.0.1", NULL, header), "192.0.2.1");
    }
}

static void test_malformed_forwarded_leaves_the_last_good_one(void **state)
{
    static const char *const bad[] = {"",
                                      "for",
                                      "for=",
                                      "for=unknown",
                                      "for=\"_hidden\"",
                                      "by=192.0.2.1",
                                      "192.0.2.1",
                                      "for=192.0.2.1;for=192.0.2.2",
                                      "for=\"192.0.2.1\"x",
                                      "for=192.0.2.1\"\"",
                                      "for=\"[2001:db8::9]:_port\"",
                                      "for=\"\""};
    char header[128];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_string_equal(found("10.0.0.1", bad[i], NULL), "10.0.0.1");
        snprintf(header, sizeof header, "for=192.0.2.1,%s,for=10.0.0.2", bad[i]);
        assert_string_equal(found("10.0.0.1", header, NULL), "10.0.0.2");
    }
}

/* An open quote of the client's swallows what proxies wrote behind it: then nothing is left to believe. */
static void test_an_open_quote_leaves_the_peer(void **state)
{
    (void)state;
    assert_string_equal(found("10.0.0.1", "for=\"192.0.2.1, for=198.51.100.1", NULL), "10.0.0.1");
    assert_string_equal(found("10.0.0.1", "for=\"a, for=\"[2001:db8::9]\"", NULL), "10.0.0.1");
    assert_string_equal(found("10.0.0.1", "for=\"a\\, for=\"[2001:db8::9]\"", NULL), "10.0.0.1");
    assert_string_equal(found("10.0.0.1", "for=\"a\\", NULL), "10.0.0.1");
    assert_string_equal(found("10.0.0.1", NULL, "\"192.0.2.1, 198.51.100.1"), "198.51.100.1");
}

static void test_the_rightmost_untrusted_address_is_the_clients(void **state)
{
    (void)state;
    assert_string_equal(found("10.0.0.1", NULL, "198.51.100.1"), "198.51.100.1");
    assert_string_equal(found("10.0.0.1", NULL, "192.0.2.1, 198.51.100.1,\t10.9.9.9 "), "198.51.100.1");
    assert_string_equal(found("10.0.0.1", NULL, "10.0.0.3,10.0.0.2"), "10.0.0.3");
    assert_string_equal(found("::ffff:10.0.0.1", NULL, "::ffff:198.51.100.1"), "198.51.100.1");
    assert_string_equal(found("::1", NULL, "198.51.100.1:4711"), "198.51.100.1");
    assert_string_equal(found("::1", NULL, "2001:db8::9"), "2001:db8::9");
    assert_string_equal(found("::1", NULL, "[2001:db8::9]:443, 2001:db8:f::1"), "2001:db8::9");
}

static void test_forwarded_is_read_as_rfc_7239_has_it(void **state)
{
    (void)state;
    assert_string_equal(found("10.0.0.1", "for=198.51.100.1", NULL), "198.51.100.1");
    assert_string_equal(found("10.0.0.1", "For=\"[2001:db8:cafe::17]:4711\"", NULL), "2001:db8:cafe::17");
    assert_string_equal(found("10.0.0.1", "for=192.0.2.60;proto=http;by=203.0.113.43", NULL), "192.0.2.60");
    assert_string_equal(found("10.0.0.1", "by=203.0.113.43;host=\"a,b;for=1.2.3.4\";FOR=192.0.2.60", NULL),
                        "192.0.2.60");
    assert_string_equal(found("10.0.0.1", "for=192.0.2.43, for=\"198.51.100.\\17\", for=10.0.0.2", NULL),
                        "198.51.100.17");
    assert_string_equal(found("10.0.0.1", "for=\"192.0.2.43:47011\"", NULL), "192.0.2.43");
}

/* A proxy writes one header and passes on the other: a client must not gain from adding the other. */
static void test_two_headers_must_agree(void **state)
{
    (void)state;
    assert_string_equal(found("10.0.0.1", "for=198.51.100.1", "198.51.100.1"), "198.51.100.1");
    assert_string_equal(found("10.0.0.1", "for=192.0.2.1", "198.51.100.1"), "10.0.0.1");
    assert_string_equal(found("10.0.0.1", "", "198.51.100.1"), "10.0.0.1");
    assert_string_equal(found("10.0.0.1", "for=198.51.100.1", ""), "10.0.0.1");
}

static void test_hops_and_bytes_have_an_end(void **state)
{
    char header[CLIENT_ADDRESS_MAX_BYTES + 2];
    char text[32];

    (void)state;
    strcpy(header, "192.0.2.1");
    for (int i = CLIENT_ADDRESS_MAX_HOPS; i > 0; i--) {
        snprintf(text, sizeof text, ",10.0.1.%d", i);
        strcat(header, text);
    }
    assert_string_equal(found("10.0.0.1", NULL, header), "10.0.1.32");
    memset(header, ' ', sizeof header);
    memcpy(header + CLIENT_ADDRESS_MAX_BYTES - 9, "192.0.2.1", 10);
    assert_string_equal(found("10.0.0.1", NULL, header), "192.0.2.1");
    header[CLIENT_ADDRESS_MAX_BYTES] = ' ';
    header[CLIENT_ADDRESS_MAX_BYTES + 1] = '\0';
    assert_string_equal(found("10.0.0.1", NULL, header), "10.0.0.1");
}

static void test_a_peer_without_an_address_stays_without(void **state)
{
    struct client_address_headers headers = {.x_forwarded_for = "192.0.2.1"};
    struct prefix_list *trusted = NULL;
    struct address peer = address_from_sockaddr(NULL);
    struct address client;

    (void)state;
    assert_int_equal(prefix_list_new("0.0.0.0/0,::/0", &trusted), 0);
    client = client_address_find(trusted, &peer, &headers);
    assert_int_equal(client.family, AF_UNSPEC);
    prefix_list_free(trusted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_untrusted_peer_is_believed_nothing),
        cmocka_unit_test(test_a_malformed_entry_leaves_the_last_good_one),
        cmocka_unit_test(test_malformed_forwarded_leaves_the_last_good_one),
        cmocka_unit_test(test_an_open_quote_leaves_the_peer),
        cmocka_unit_test(test_the_rightmost_untrusted_address_is_the_clients),
        cmocka_unit_test(test_forwarded_is_read_as_rfc_7239_has_it),
        cmocka_unit_test(test_two_headers_must_agree),
        cmocka_unit_test(test_hops_and_bytes_have_an_end),
        cmocka_unit_test(test_a_peer_without_an_address_stays_without),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
