#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "auth/identity.h"

static void test_texts_are_its_own(void **state)
{
    static const char *const patterns[] = {"vis_*"};
    char company[] = "acme";
    char user[] = "ann";
    unsigned char hash[API_KEY_HASH_BYTES];
    struct event_filter *filter = event_filter_new(patterns, 1);
    struct identity *identity = identity_new(&(struct identity){.company = company,
                                                                .user = user,
                                                                .key_id = "k_1",
                                                                .key_hash = memset(hash, 0x5a, sizeof hash),
                                                                .expires_ms = 8,
                                                                .filter = filter});

    (void)state;
    assert_non_null(identity);
    event_filter_unref(filter);
    strcpy(company, "xxxx");
    strcpy(user, "yyy");
    memset(hash, 0, sizeof hash);
    assert_string_equal(identity->company, "acme");
    assert_string_equal(identity->user, "ann");
    assert_string_equal(identity->session, "");
    assert_string_equal(identity->token_id, "");
    assert_string_equal(identity->key_id, "k_1");
    for (size_t i = 0; i < API_KEY_HASH_BYTES; i++)
        assert_int_equal(identity->key_hash[i], 0x5a);
    assert_int_equal(identity->expires_ms, 8);
    assert_string_equal(event_filter_pattern(identity->filter, 0), "vis_*");
    identity_unref(identity);
}

static void test_it_lives_as_long_as_anybody_needs_it(void **state)
{
    struct identity *identity = identity_new(&(struct identity){.company = "acme"});
    struct identity *other = identity_ref(identity);

    (void)state;
    identity_unref(identity);
    assert_string_equal(other->company, "acme");
    assert_null(other->key_hash);
    identity_unref(other);
    assert_null(identity_ref(NULL));
    identity_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_are_its_own),
        cmocka_unit_test(test_it_lives_as_long_as_anybody_needs_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
