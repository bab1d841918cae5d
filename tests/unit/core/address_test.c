#include "core/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *shown(const struct address *address)
{
    static char text[ADDRESS_TEXT_SIZE];

    address_format(address, text);
    return text;
}

static void assert_reads(const char *text, const char *expected)
{
    struct address address;

    assert_int_equal(address_parse(text, strlen(text), &address), 0);
    assert_string_equal(shown(&address), expected);
}

static void test_what_is_no_address_is_refused(void **state)
{
    static const char *const bad[] = {"",         " ",         "1.2.3",  "1.2.3.4.5", "256.1.1.1", "01.2.3.4",
                                      "1.2.3.4 ", "1.2.3.4:5", "[::1]",  "::1%lo",    ":::",       "1::2::3",
                                      "g::1",     "localhost", "0x7f.1", "12345::1:", "1.2.3.4/8", "::1/128"};
    char longest[4096];
    struct address address = {.family = AF_UNSPEC};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (address_parse(bad[i], strlen(bad[i]), &address) != -EINVAL)
            fail_msg("%s was taken for an address", bad[i]);
    memset(longest, '1', sizeof longest);
    assert_int_equal(address_parse(longest, sizeof longest, &address), -EINVAL);
    assert_int_equal(address_parse("1.2.3.4\0", 8, &address), -EINVAL);
    assert_int_equal(address.family, AF_UNSPEC);
}

static void test_addresses_have_one_form(void **state)
{
    (void)state;
    assert_reads("192.0.2.1", "192.0.2.1");
    assert_reads("2001:DB8:0:0::1", "2001:db8::1");
    assert_reads("::ffff:192.0.2.1", "192.0.2.1");
    assert_reads("0:0:0:0:0:FFFF:c000:0201", "192.0.2.1");
    assert_reads("::1", "::1");
}

static void test_a_peer_gives_its_address(void **state)
{
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(0xc0000201)}};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
    struct sockaddr local = {.sa_family = AF_UNIX};
    struct address address = address_from_sockaddr((const struct sockaddr *)&ipv4);

    (void)state;
    assert_string_equal(shown(&address), "192.0.2.1");
    inet_pton(AF_INET6, "::ffff:192.0.2.1", &ipv6.sin6_addr);
    address = address_from_sockaddr((const struct sockaddr *)&ipv6);
    assert_string_equal(shown(&address), "192.0.2.1");
    inet_pton(AF_INET6, "2001:db8::7", &ipv6.sin6_addr);
    address = address_from_sockaddr((const struct sockaddr *)&ipv6);
    assert_string_equal(shown(&address), "2001:db8::7");
    address = address_from_sockaddr(&local);
    assert_string_equal(shown(&address), "unknown");
    address = address_from_sockaddr(NULL);
    assert_string_equal(shown(&address), "unknown");
}

static struct address limited(const char *text)
{
    struct address address;

    assert_int_equal(address_parse(text, strlen(text), &address), 0);
    return address_for_limits(&address);
}

static void test_limits_count_an_ipv6_network_as_one(void **state)
{
    struct address a = limited("2001:db8:1:2::1");
    struct address b = limited("2001:db8:1:2:ffff:ffff:ffff:ffff");
    struct address other = limited("2001:db8:1:3::1");
    struct address ipv4 = limited("192.0.2.1");
    struct address neighbour = limited("192.0.2.2");

    (void)state;
    assert_true(address_equal(&a, &b));
    assert_false(address_equal(&a, &other));
    assert_false(address_equal(&ipv4, &neighbour));
    assert_string_equal(shown(&a), "2001:db8:1:2::");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_no_address_is_refused),
        cmocka_unit_test(test_addresses_have_one_form),
        cmocka_unit_test(test_a_peer_gives_its_address),
        cmocka_unit_test(test_limits_count_an_ipv6_network_as_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
