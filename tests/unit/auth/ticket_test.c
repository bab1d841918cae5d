#include "auth/ticket.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Tickets and their hashes. */

static void test_tickets_are_made_and_hashed(void **state)
{
    char ticket[TICKET_TEXT_SIZE];
    char other[TICKET_TEXT_SIZE];
    char hash[TICKET_HASH_SIZE];
    char again[TICKET_HASH_SIZE];
    char other_hash[TICKET_HASH_SIZE];

    (void)state;
    assert_int_equal(ticket_generate(ticket), 0);
    assert_int_equal(ticket_generate(other), 0);
    assert_string_not_equal(ticket, other);
    assert_int_equal(strlen(ticket), TICKET_TEXT_SIZE - 1);
    assert_int_equal(ticket_hash(ticket, strlen(ticket), hash), 0);
    assert_int_equal(ticket_hash(ticket, strlen(ticket), again), 0);
    assert_int_equal(ticket_hash(other, strlen(other), other_hash), 0);
    assert_string_equal(hash, again);
    assert_string_not_equal(hash, other_hash);
    assert_int_equal(strlen(hash), TICKET_HASH_SIZE - 1);
    assert_int_equal(strspn(hash, "0123456789abcdef"), TICKET_HASH_SIZE - 1);
    /* Nothing of the ticket shows in it. */
    assert_null(strstr(hash, ticket + 4));
}

static void test_the_hash_is_sha256(void **state)
{
    static const char ticket[] = "slt_0123456789012345678901234567890123456789012";
    char hash[TICKET_HASH_SIZE];

    (void)state;
    assert_int_equal(ticket_hash(ticket, strlen(ticket), hash), 0);
    /* printf %s slt_0123… | sha256sum: what replicas of other versions find as well. */
    assert_string_equal(hash, "5265cfe510188d35dae5418ad459068ecacc352d7bc614823ba7678ddc2c3350");
}

static void test_each_letter_of_a_ticket_counts(void **state)
{
    char ticket[TICKET_TEXT_SIZE];
    char hash[TICKET_HASH_SIZE];
    char changed[TICKET_HASH_SIZE];

    (void)state;
    assert_int_equal(ticket_generate(ticket), 0);
    assert_int_equal(ticket_hash(ticket, strlen(ticket), hash), 0);
    for (size_t i = 4; i < TICKET_TEXT_SIZE - 1; i++) {
        ticket[i] ^= 1;
        assert_int_equal(ticket_hash(ticket, strlen(ticket), changed), 0);
        assert_string_not_equal(changed, hash);
        ticket[i] ^= 1;
    }
}

static void test_what_cannot_be_a_ticket_has_no_hash(void **state)
{
    char ticket[TICKET_TEXT_SIZE + 1] = "";
    char hash[TICKET_HASH_SIZE];

    (void)state;
    assert_int_equal(ticket_generate(ticket), 0);
    for (size_t size = 0; size < TICKET_TEXT_SIZE - 1; size++)
        assert_int_equal(ticket_hash(ticket, size, hash), -EINVAL);
    ticket[TICKET_TEXT_SIZE - 1] = 'x';
    assert_int_equal(ticket_hash(ticket, TICKET_TEXT_SIZE, hash), -EINVAL);
    ticket[2] = 'k';
    assert_int_equal(ticket_hash(ticket, TICKET_TEXT_SIZE - 1, hash), -EINVAL);
    ticket[2] = 'T';
    assert_int_equal(ticket_hash(ticket, TICKET_TEXT_SIZE - 1, hash), -EINVAL);
}

static struct address address_of(const char *text)
{
    struct address address;

    assert_int_equal(address_parse(text, strlen(text), &address), 0);
    return address;
}

static void fingerprint(const char *address_text, const char *user_agent, char ret_hash[TICKET_HASH_SIZE])
{
    struct address address = address_of(address_text);

    assert_int_equal(ticket_fingerprint(&address, user_agent, ret_hash), 0);
    assert_int_equal(strlen(ret_hash), TICKET_HASH_SIZE - 1);
}

static void test_fingerprints_tell_clients_apart(void **state)
{
    static const struct {
        const char *address;
        const char *user_agent;
    } clients[] = {{"192.0.2.1", "Mozilla/5.0"}, {"192.0.2.1", "Mozilla/5.1"}, {"192.0.2.11", "Mozilla/5.0"},
                   {"192.0.2.1", NULL},          {"192.0.2.1", "192.0.2.1"},   {"2001:db8::1", "Mozilla/5.0"},
                   {"2001:db8::2", NULL},        {"192.0.2.1", "1\nMozilla"}};
    enum { CLIENTS = sizeof clients / sizeof clients[0] };
    char hashes[CLIENTS][TICKET_HASH_SIZE];
    char again[TICKET_HASH_SIZE];

    (void)state;
    for (size_t i = 0; i < CLIENTS; i++) {
        fingerprint(clients[i].address, clients[i].user_agent, hashes[i]);
        fingerprint(clients[i].address, clients[i].user_agent, again);
        assert_string_equal(hashes[i], again);
        for (size_t before = 0; before < i; before++)
            assert_string_not_equal(hashes[i], hashes[before]);
    }
    fingerprint("::ffff:192.0.2.1", "Mozilla/5.0", again);
    assert_string_equal(again, hashes[0]); /* the same host on a socket bound to :: */
}

/* What is kept under a ticket. */

/* As long a text as there can be. */
static const char *fill(char text[IDENTITY_TEXT_SIZE], const char *with)
{
    size_t size = strlen(with);

    for (size_t i = 0; i < IDENTITY_TEXT_SIZE - 1; i++)
        text[i] = with[i % size];
    text[IDENTITY_TEXT_SIZE - 1] = '\0';
    return text;
}

static void assert_same_filter(const struct event_filter *a, const struct event_filter *b)
{
    assert_int_equal(a == NULL, b == NULL);
    if (!a)
        return;
    assert_int_equal(event_filter_count(a), event_filter_count(b));
    for (size_t i = 0; i < event_filter_count(a); i++)
        assert_string_equal(event_filter_pattern(a, i), event_filter_pattern(b, i));
}

/* Writes it, reads it again, and compares. */
static void assert_comes_back(const struct identity *identity)
{
    struct buffer value = buffer_make(TICKET_VALUE_MAX_BYTES);
    struct identity *again;

    ticket_write(identity, &value);
    assert_false(value.failed);
    assert_int_equal(ticket_read(value.data, value.size, &again), 0);
    buffer_release(&value);
    assert_string_equal(again->company, identity->company);
    assert_string_equal(again->user, identity->user);
    assert_string_equal(again->session, identity->session);
    assert_string_equal(again->token_id, identity->token_id);
    assert_string_equal(again->key_id, identity->key_id);
    assert_int_equal(again->key_hash != NULL, identity->key_hash != NULL);
    if (identity->key_hash)
        assert_memory_equal(again->key_hash, identity->key_hash, API_KEY_HASH_BYTES);
    assert_int_equal(again->expires_ms, identity->expires_ms);
    assert_same_filter(again->filter, identity->filter);
    identity_unref(again);
}

static void test_an_identity_comes_back(void **state)
{
    static const char *const patterns[] = {"metric_updated", "vis_*"};
    unsigned char key_hash[API_KEY_HASH_BYTES];
    struct identity identity = {
        .company = "acme", .user = "", .session = "", .token_id = "", .key_id = "", .expires_ms = 1795347844000};

    (void)state;
    assert_comes_back(&identity);
    identity.user = "u1";
    identity.session = "s1";
    identity.token_id = "0b9c5d2e";
    assert_comes_back(&identity);
    identity.key_id = "k_1";
    identity.key_hash = memset(key_hash, 0xa5, sizeof key_hash);
    identity.filter = event_filter_new(patterns, 2);
    assert_non_null(identity.filter);
    assert_comes_back(&identity);
    event_filter_unref(identity.filter);
}

static void test_extreme_values_come_back(void **state)
{
    char texts[5][IDENTITY_TEXT_SIZE];
    unsigned char key_hash[API_KEY_HASH_BYTES];
    char pattern[65];
    const char *patterns[API_KEY_MAX_EVENTS];
    /* As long in JSON as they can get: names hold no control characters. */
    struct identity identity = {.company = fill(texts[0], "c"),
                                .user = fill(texts[1], "\""),
                                .session = fill(texts[2], "\\"),
                                .token_id = fill(texts[3], "\"\\"),
                                .key_id = fill(texts[4], "k"),
                                .key_hash = memset(key_hash, 0xff, sizeof key_hash),
                                .expires_ms = INT64_MAX};

    (void)state;
    memset(pattern, 'p', 64);
    pattern[64] = '\0';
    for (size_t i = 0; i < API_KEY_MAX_EVENTS; i++)
        patterns[i] = pattern;
    identity.filter = event_filter_new(patterns, API_KEY_MAX_EVENTS);
    assert_non_null(identity.filter);
    assert_comes_back(&identity);
    event_filter_unref(identity.filter);
    identity.filter = NULL;
    fill(texts[1], "\xc3\xa9");
    fill(texts[2], "\xf0\x9f\x98\x80");
    identity.expires_ms = 0;
    identity.token_id = "</script>\xe2\x80\xa8";
    assert_comes_back(&identity);
}

/* What does not fit is no ticket, rather than one of somebody else. */
static void test_a_value_without_room_fails(void **state)
{
    struct identity identity = {.company = "acme", .user = "", .session = "", .token_id = "", .key_id = ""};
    struct buffer whole = buffer_make(TICKET_VALUE_MAX_BYTES);

    (void)state;
    ticket_write(&identity, &whole);
    for (size_t room = 0; room < whole.size; room++) {
        struct buffer value = buffer_make(room);
        struct identity *again;

        ticket_write(&identity, &value);
        assert_true(value.failed);
        assert_int_equal(ticket_read(value.data ? value.data : "", value.size, &again), -EINVAL);
        buffer_release(&value);
    }
    buffer_release(&whole);
}

/* Damage. */

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct {
    const char *name;
    const char *good;
} members[] = {{"companyId", "\"acme\""},   {"userId", "\"u1\""},        {"sessionId", "\"\""},
               {"tokenId", "\"t1\""},       {"keyId", "\"k1\""},         {"keyHash", "\"" HEX "\""},
               {"expiresAt", "1795347844"}, {"events", "[\"a\",\"b*\"]"}};

enum { MEMBERS = sizeof members / sizeof members[0] };

/* The value, with another text in the place of one member's; NULL: the member is not there. */
static void write_value(struct buffer *value, size_t changed, const char *to)
{
    const char *comma = "{";

    for (size_t i = 0; i < MEMBERS; i++) {
        const char *text = i == changed ? to : members[i].good;

        if (!text)
            continue;
        buffer_printf(value, "%s\"%s\":%s", comma, members[i].name, text);
        comma = ",";
    }
    buffer_append_text(value, "}");
}

static int read_value(size_t changed, const char *to)
{
    struct buffer value = buffer_make(65536);
    struct identity *identity;
    int status;

    write_value(&value, changed, to);
    status = ticket_read(value.data, value.size, &identity);
    buffer_release(&value);
    if (status == 0)
        identity_unref(identity);
    return status;
}

static size_t member_of(const char *name)
{
    size_t at = 0;

    while (strcmp(members[at].name, name) != 0)
        at++;
    return at;
}

static void assert_refused(const char *name, const char *to)
{
    if (read_value(member_of(name), to) != -EINVAL)
        fail_msg("%s: %s was taken", name, to);
}

static void test_each_member_must_be_there_and_of_its_kind(void **state)
{
    static const char *const kinds[] = {"null", "true", "1", "1.5", "\"\xc3\xa9\xc3\xa9\"", "{}", "[]", "[1]"};

    (void)state;
    assert_int_equal(read_value(MEMBERS, NULL), 0);
    for (size_t i = 0; i < MEMBERS; i++) {
        assert_int_equal(read_value(i, NULL), -EINVAL);
        for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++) {
            bool is_number = strcmp(kinds[kind], "1") == 0;
            bool is_text = kinds[kind][0] == '"';
            bool wants_number = strcmp(members[i].name, "expiresAt") == 0;
            bool is_name = i > member_of("companyId") && i < member_of("keyHash");
            bool fits = (wants_number && is_number) || (is_name && is_text) ||
                        (i == member_of("events") && strcmp(kinds[kind], "null") == 0);

            if ((read_value(i, kinds[kind]) == 0) != fits)
                fail_msg("%s: %s was %s", members[i].name, kinds[kind], fits ? "refused" : "taken");
        }
    }
}

static void test_values_out_of_range_are_refused(void **state)
{
    char long_text[IDENTITY_TEXT_SIZE + 3];
    char patterns[5 * (API_KEY_MAX_EVENTS + 1) + 2] = "[";

    (void)state;
    memset(long_text, 'a', sizeof long_text);
    long_text[0] = '"';
    long_text[IDENTITY_TEXT_SIZE + 1] = '"';
    long_text[IDENTITY_TEXT_SIZE + 2] = '\0';
    for (size_t i = 0; i <= member_of("keyId"); i++)
        assert_refused(members[i].name, long_text);
    assert_refused("companyId", "\"\"");
    assert_refused("companyId", "\"a*\"");
    assert_refused("companyId", "\"acme \"");
    assert_refused("companyId", "\"acme\\u0000\"");
    assert_refused("userId", "\"u\\u0000\"");
    assert_refused("userId", "\"\xff\"");
    assert_refused("keyHash", "\"\"");
    assert_refused("keyId", "\"\""); /* a hash of no key */
    assert_refused("keyHash", "\"" HEX "0\"");
    assert_refused("keyHash", "\"g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"");
    assert_refused("expiresAt", "-1");
    assert_refused("expiresAt", "-9223372036854775808");
    assert_refused("expiresAt", "9223372036854775808");
    assert_refused("expiresAt", "1e3");
    for (size_t i = 0; i <= API_KEY_MAX_EVENTS; i++)
        strcat(patterns, i == 0 ? "\"a\"" : ",\"a\"");
    strcat(patterns, "]");
    assert_refused("events", patterns);
    assert_refused("events", "[\"a\",null]");
    assert_refused("events", "[[\"a\"]]");
}

/* Of all that a broken or foreign writer may leave behind, nothing is an identity. */
static void test_texts_that_are_not_whole_are_refused(void **state)
{
    static const char *const texts[] = {"", " ", "null", "[]", "{}", "\"acme\"", "5", "no JSON"};
    struct buffer value = buffer_make(65536);
    struct identity *identity;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(ticket_read(texts[i], strlen(texts[i]), &identity), -EINVAL);
    write_value(&value, MEMBERS, NULL);
    for (size_t size = 0; size < value.size; size++) {
        /* A copy of that size, so that a read beyond it is seen. */
        char *part = malloc(size + 1);

        assert_non_null(part);
        part = realloc(memcpy(part, value.data, size), size ? size : 1);
        assert_int_equal(ticket_read(part, size, &identity), -EINVAL);
        free(part);
    }
    buffer_append_text(&value, "x");
    assert_int_equal(ticket_read(value.data, value.size, &identity), -EINVAL);
    value.size -= 2;
    buffer_append_text(&value, ",\"companyId\":\"other\"}");
    assert_int_equal(ticket_read(value.data, value.size, &identity), -EINVAL);
    buffer_release(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tickets_are_made_and_hashed),
        cmocka_unit_test(test_the_hash_is_sha256),
        cmocka_unit_test(test_each_letter_of_a_ticket_counts),
        cmocka_unit_test(test_what_cannot_be_a_ticket_has_no_hash),
        cmocka_unit_test(test_fingerprints_tell_clients_apart),
        cmocka_unit_test(test_an_identity_comes_back),
        cmocka_unit_test(test_extreme_values_come_back),
        cmocka_unit_test(test_a_value_without_room_fails),
        cmocka_unit_test(test_each_member_must_be_there_and_of_its_kind),
        cmocka_unit_test(test_values_out_of_range_are_refused),
        cmocka_unit_test(test_texts_that_are_not_whole_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
