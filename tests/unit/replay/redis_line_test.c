#include "replay/redis_line.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "replay/redis_command.h"
#include "replay/redis_connection.h"
#include "tests/unit/support/loopback.h"

/* A line to a socket of the test, which says what Redis answers, and when. All runs in this thread, turn by turn. */

#define NS_PER_MS INT64_C(1000000)

enum { PATIENCE_S = 20, QUIET_MS = 1000, TIMEOUT_MS = 1000 };

struct world {
    int listener;
    int server; /* what was accepted; -1: nothing yet */
    struct redis_line *line;
    bool is_over;
    int answers;
    char reason[REDIS_REASON_SIZE];
};

/* Whether there is memory for commands. */
static bool can_send = true;

int __real_redis_connection_command(struct redis_connection *connection, int count, const char *const *arguments,
                                    const size_t *sizes, redis_reply_done done, void *context);
int __wrap_redis_connection_command(struct redis_connection *connection, int count, const char *const *arguments,
                                    const size_t *sizes, redis_reply_done done, void *context);

int __wrap_redis_connection_command(struct redis_connection *connection, int count, const char *const *arguments,
                                    const size_t *sizes, redis_reply_done done, void *context)
{
    return can_send ? __real_redis_connection_command(connection, count, arguments, sizes, done, context) : -ENOMEM;
}

#define UNTIL(world, condition)                                                \
    do {                                                                       \
        int64_t end_ns = clock_monotonic_ns() + PATIENCE_S * 1000 * NS_PER_MS; \
        while (!(condition)) {                                                 \
            if (clock_monotonic_ns() > end_ns)                                 \
                fail_msg("in vain: " #condition "; %s", (world)->reason);      \
            turn(world);                                                       \
        }                                                                      \
    } while (0)

static void turn(struct world *world)
{
    struct pollfd fd = {.fd = -1};

    if (world->server < 0)
        world->server = accept4(world->listener, NULL, NULL, SOCK_CLOEXEC);
    if (!world->is_over)
        world->is_over = redis_line_run(world->line, world->reason) < 0;
    if (world->is_over)
        return;
    fd.fd = redis_line_poll_fd(world->line, &fd.events);
    (void)poll(&fd, 1, 1);
}

/* Until the connection is made. */
static struct world *connect_to(int database)
{
    static struct world world;
    struct redis_line_options options = {.database = database, .timeout_ms = TIMEOUT_MS};
    char port[6];
    int number;

    can_send = true;
    world = (struct world){.server = -1};
    world.listener = loopback_listen(&number);
    assert_int_equal(fcntl(world.listener, F_SETFL, O_NONBLOCK), 0);
    snprintf(port, sizeof port, "%u", (uint16_t)number);
    assert_int_equal(redis_endpoint_make("127.0.0.1", 9, port, strlen(port), &options.server), 0);
    world.line = redis_line_new(&options);
    assert_non_null(world.line);
    UNTIL(&world, world.server >= 0);
    return &world;
}

static int start(void **state)
{
    struct world *world = connect_to(REDIS_NO_DATABASE);

    UNTIL(world, redis_line_connection(world->line));
    *state = world;
    return 0;
}

static int start_with_database(void **state)
{
    *state = connect_to(99);
    return 0;
}

static int stop(void **state)
{
    struct world *world = *state;

    redis_line_free(world->line);
    close(world->server);
    close(world->listener);
    return 0;
}

static void on_answer(void *context, const redisReply *reply)
{
    struct world *world = context;

    world->answers += reply != NULL;
}

static void send_command(struct world *world)
{
    struct redis_command command = redis_command_make();

    redis_command_add(&command, "TIME");
    assert_int_equal(redis_command_send(&command, redis_line_connection(world->line), on_answer, world), 0);
}

/* What arrived; nothing: an empty text. */
static const char *arrived(const struct world *world)
{
    static char text[256];
    ssize_t size = recv(world->server, text, sizeof text - 1, MSG_DONTWAIT);

    text[size > 0 ? size : 0] = '\0';
    return text;
}

static void answer(const struct world *world, const char *reply)
{
    assert_int_equal(send(world->server, reply, strlen(reply), MSG_NOSIGNAL), strlen(reply));
}

static void test_a_line_that_hears_answers_is_not_asked(void **state)
{
    struct world *world = *state;
    int64_t answered_ns;

    send_command(world);
    UNTIL(world, strstr(arrived(world), "TIME"));
    answered_ns = clock_monotonic_ns();
    answer(world, "+OK\r\n");
    UNTIL(world, world->answers == 1);
    assert_true(redis_line_deadline_ns(world->line) >= answered_ns + QUIET_MS * NS_PER_MS);
}

static void test_a_quiet_line_is_asked_and_goes_on_with_the_answer(void **state)
{
    struct world *world = *state;

    UNTIL(world, strstr(arrived(world), "PING"));
    answer(world, "+PONG\r\n");
    UNTIL(world, strstr(arrived(world), "PING"));
    assert_false(world->is_over);
}

static void test_a_line_that_does_not_answer_ends(void **state)
{
    struct world *world = *state;

    UNTIL(world, world->is_over);
    assert_non_null(strstr(world->reason, "no answer in time"));
    assert_non_null(strstr(arrived(world), "PING"));
}

static void test_a_line_that_cannot_be_asked_ends(void **state)
{
    struct world *world = *state;

    can_send = false;
    UNTIL(world, world->is_over);
    assert_non_null(strstr(world->reason, "no memory"));
}

static void test_a_database_that_is_not_there_is_named(void **state)
{
    struct world *world = *state;

    UNTIL(world, strstr(arrived(world), "SELECT"));
    answer(world, "-ERR DB index is out of range\r\n");
    UNTIL(world, world->is_over);
    assert_string_equal(world->reason, "Redis refused the database in REDIS_URL: ERR DB index is out of range");
}

static void test_a_missing_password_is_no_matter_of_the_database(void **state)
{
    struct world *world = *state;

    UNTIL(world, strstr(arrived(world), "SELECT"));
    answer(world, "-NOAUTH Authentication required.\r\n");
    UNTIL(world, world->is_over);
    assert_non_null(strstr(world->reason, "Redis refused the login: NOAUTH; compare"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_line_that_hears_answers_is_not_asked, start, stop),
        cmocka_unit_test_setup_teardown(test_a_quiet_line_is_asked_and_goes_on_with_the_answer, start, stop),
        cmocka_unit_test_setup_teardown(test_a_line_that_does_not_answer_ends, start, stop),
        cmocka_unit_test_setup_teardown(test_a_line_that_cannot_be_asked_ends, start, stop),
        cmocka_unit_test_setup_teardown(test_a_database_that_is_not_there_is_named, start_with_database, stop),
        cmocka_unit_test_setup_teardown(test_a_missing_password_is_no_matter_of_the_database, start_with_database,
                                        stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
