/* Whoever may not stream any more is asked after at once, whatever else waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "support/stream_rig.h"

static struct stream_rig rig;
static enum verdict verdict;
static int passes;

enum verdict __wrap_pass_verdict(const struct pass *pass);
void __wrap_pass_free(struct pass *pass);

enum verdict __wrap_pass_verdict(const struct pass *pass)
{
    (void)pass;
    return verdict;
}

void __wrap_pass_free(struct pass *pass)
{
    passes -= pass != NULL;
}

static int tear_down(void **state)
{
    (void)state;
    stream_rig_release(&rig);
    return 0;
}

/* A client of acme, with a pass. */
static struct fake_socket *open_with_pass(void)
{
    static char token;
    struct fake_socket *client = stream_rig_open_ready(&rig, true);

    worker_rig_stream(rig.worker, client)->pass = (struct pass *)(void *)&token;
    passes++;
    return client;
}

static void a_stream_that_may_go_on_does(void **state)
{
    struct fake_socket *client;

    (void)state;
    stream_rig_init(&rig, &(struct stream_rig_options){0});
    verdict = VERDICT_GOOD;
    client = open_with_pass();
    worker_rig_review(rig.worker);
    stream_rig_turn(&rig);
    assert_false(client->closed);
}

static void a_revoked_stream_ends_though_more_events_wait_than_there_is_room_for(void **state)
{
    struct fake_socket *client;

    (void)state;
    stream_rig_init(&rig, &(struct stream_rig_options){.buffer_events = 4});
    verdict = VERDICT_GOOD;
    client = open_with_pass();
    stream_rig_publish(&rig, "acme", 1, 100);
    stream_rig_turn(&rig);
    assert_true(worker_rig_is_busy(rig.worker));
    verdict = VERDICT_REVOKED;
    worker_rig_review(rig.worker);
    stream_rig_turn(&rig);
    assert_true(client->closed);
    assert_int_equal(passes, 0);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_stream_that_may_go_on_does),
        TEST(a_revoked_stream_ends_though_more_events_wait_than_there_is_room_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
