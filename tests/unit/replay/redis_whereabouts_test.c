#include <errno.h>
#include <hiredis/hiredis.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "replay/redis_redirect.h"
#include "replay/redis_sentinel.h"
#include "replay/redis_slot_map.h"

/* What servers say of where others are: redirections, the answers of Sentinels, the map of slots. */

static const struct redis_endpoint asked = {.host = "10.0.0.9", .port = "7000"};

static void assert_endpoint(const struct redis_endpoint *endpoint, const char *host, const char *port)
{
    assert_string_equal(endpoint->host, host);
    assert_string_equal(endpoint->port, port);
    assert_string_equal(endpoint->path, "");
}

static void test_redirections(void **state)
{
    static const struct {
        const char *text;
        enum redis_redirect_kind kind;
        unsigned slot;
        const char *host;
        const char *port;
    } cases[] = {
        {"MOVED 3999 127.0.0.1:6381", REDIS_MOVED, 3999, "127.0.0.1", "6381"},
        {"ASK 0 node-1.example.com:1", REDIS_ASK, 0, "node-1.example.com", "1"},
        {"MOVED 16383 ::1:6381", REDIS_MOVED, 16383, "::1", "6381"},
        {"MOVED 3999 :6381", REDIS_MOVED, 3999, "10.0.0.9", "6381"},
    };
    static const char *const others[] = {
        "",
        "ERR MOVED 3999 127.0.0.1:6381",
        "MOVED",
        "MOVED ",
        "MOVED 3999",
        "MOVED 3999 ",
        "MOVED 3999 h",
        "MOVED 3999 h:",
        "MOVED 3999 h:0",
        "MOVED 3999 h:65536",
        "MOVED 3999 h:1x",
        "MOVED 3999 h i:1",
        "MOVED 3999 ?:6381",
        "MOVED 16384 h:1",
        "MOVED -1 h:1",
        "MOVED x h:1",
        "MOVED 999999999999999999999 h:1",
        "MOVEDX 1 h:1",
        "moved 1 h:1",
        "CLUSTERDOWN The cluster is down",
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct redis_redirect redirect = redis_redirect_read(cases[i].text, &asked);

        assert_int_equal(redirect.kind, cases[i].kind);
        assert_int_equal(redirect.slot, cases[i].slot);
        assert_endpoint(&redirect.node, cases[i].host, cases[i].port);
    }
    assert_int_equal(redis_redirect_read("TRYAGAIN Multiple keys request during rehashing of slot", &asked).kind,
                     REDIS_TRY_AGAIN);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (redis_redirect_read(others[i], &asked).kind != REDIS_NO_REDIRECT)
            fail_msg("a redirection: %s", others[i]);
}

/* The reply that a server would send like that. */
static redisReply *reply_of(const char *bytes)
{
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;

    assert_int_equal(redisReaderFeed(reader, bytes, strlen(bytes)), REDIS_OK);
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    assert_non_null(reply);
    redisReaderFree(reader);
    return reply;
}

static int sentinel_answer(const char *bytes, struct redis_endpoint *ret_master)
{
    redisReply *reply = reply_of(bytes);
    int status = redis_sentinel_answer(reply, ret_master);

    freeReplyObject(reply);
    return status;
}

static void test_answers_of_sentinels(void **state)
{
    static const char *const others[] = {
        "*-1\r\n",
        "$-1\r\n",
        "*0\r\n",
        "*1\r\n$1\r\nh\r\n",
        ":1\r\n",
        "*2\r\n$1\r\nh\r\n:6379\r\n",
        "*2\r\n$-1\r\n$4\r\n6379\r\n",
        "*2\r\n$0\r\n\r\n$4\r\n6379\r\n",
        "*2\r\n$1\r\nh\r\n$1\r\n0\r\n",
        "*2\r\n$3\r\nh i\r\n$4\r\n6379\r\n",
        "*2\r\n$1\r\nh\r\n$5\r\n65536\r\n",
    };
    struct redis_endpoint master;

    (void)state;
    assert_int_equal(sentinel_answer("*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6380\r\n", &master), 0);
    assert_endpoint(&master, "127.0.0.1", "6380");
    assert_int_equal(sentinel_answer("*2\r\n$6\r\nfe80::\r\n$1\r\n1\r\n", &master), 0);
    assert_endpoint(&master, "fe80::", "1");
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(sentinel_answer(others[i], &master), -ENOENT);
    assert_endpoint(&master, "fe80::", "1");
}

static int read_map(const char *bytes, struct redis_slot_map *ret_map)
{
    redisReply *reply = reply_of(bytes);
    int status = redis_slot_map_read(reply, &asked, ret_map);

    freeReplyObject(reply);
    return status;
}

#define RANGE(first, last, node) "*3\r\n:" #first "\r\n:" #last "\r\n" node
#define NODE_A "*3\r\n$9\r\n127.0.0.1\r\n:7001\r\n$2\r\nid\r\n"
#define NODE_HERE "*3\r\n$-1\r\n:7002\r\n$2\r\nid\r\n"
#define NODE_NAMELESS "*4\r\n$0\r\n\r\n:7003\r\n$2\r\nid\r\n*0\r\n"
#define NODE_UNKNOWN "*3\r\n$1\r\n?\r\n:7004\r\n$2\r\nid\r\n"

static void test_the_map_of_slots(void **state)
{
    struct redis_slot_map *map = malloc(sizeof *map);

    (void)state;
    assert_int_equal(read_map("*4\r\n" RANGE(0, 99, NODE_A) RANGE(100, 100, NODE_HERE)
                                  RANGE(101, 8000, NODE_A) "*4\r\n:8001\r\n:16383\r\n" NODE_NAMELESS NODE_A,
                              map),
                     0);
    assert_int_equal(map->count, 3);
    assert_endpoint(&map->nodes[map->slots[0]], "127.0.0.1", "7001");
    assert_endpoint(&map->nodes[map->slots[99]], "127.0.0.1", "7001");
    assert_endpoint(&map->nodes[map->slots[100]], "10.0.0.9", "7002");
    assert_endpoint(&map->nodes[map->slots[8000]], "127.0.0.1", "7001");
    assert_endpoint(&map->nodes[map->slots[16383]], "10.0.0.9", "7003");
    free(map);
}

static void test_a_map_with_holes_or_nonsense_is_none(void **state)
{
    static const struct {
        const char *bytes;
        int status;
    } cases[] = {
        {"*0\r\n", -ENOENT},
        {"*1\r\n" RANGE(0, 16382, NODE_A), -ENOENT},
        {"*1\r\n" RANGE(1, 16383, NODE_A), -ENOENT},
        {":1\r\n", -EINVAL},
        {"*1\r\n:1\r\n", -EINVAL},
        {"*1\r\n*0\r\n", -EINVAL},
        {"*1\r\n*2\r\n:0\r\n:16383\r\n", -EINVAL},
        {"*1\r\n" RANGE(0, 16384, NODE_A), -EINVAL},
        {"*1\r\n" RANGE(-1, 16383, NODE_A), -EINVAL},
        {"*1\r\n" RANGE(2, 1, NODE_A), -EINVAL},
        {"*1\r\n" RANGE(0, 16383, NODE_UNKNOWN), -EINVAL},
        {"*1\r\n" RANGE(0, 16383, "*2\r\n$1\r\nh\r\n:0\r\n"), -EINVAL},
        {"*1\r\n" RANGE(0, 16383, "*2\r\n$1\r\nh\r\n:65536\r\n"), -EINVAL},
        {"*1\r\n" RANGE(0, 16383, "*2\r\n$1\r\nh\r\n$1\r\n1\r\n"), -EINVAL},
        {"*1\r\n" RANGE(0, 16383, "*2\r\n:1\r\n:1\r\n"), -EINVAL},
    };
    struct redis_slot_map *map = malloc(sizeof *map);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(read_map(cases[i].bytes, map), cases[i].status);
    free(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_redirections),
        cmocka_unit_test(test_answers_of_sentinels),
        cmocka_unit_test(test_the_map_of_slots),
        cmocka_unit_test(test_a_map_with_holes_or_nonsense_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
