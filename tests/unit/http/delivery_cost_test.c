/*
 * What an event costs does not grow by memory for each stream that gets it, and a stream that gets none costs its heartbeats:
 * http/stream_live.c, http/stream_timer.c and what stands around them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/fake_clock.h"
#include "support/stream_rig.h"

enum { FEW = 2, MANY = STREAM_RIG_SOCKETS, ROOM = 1 << 20 };

static struct stream_rig rig;
static bool is_counting;
static size_t allocations;
static size_t looks;

int __wrap_ioctl(int fd, unsigned long request, void *bytes);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size)
{
    allocations += is_counting;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    allocations += is_counting;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    allocations += is_counting;
    return __real_realloc(old, size);
}

/* How the worker asks what a client has acknowledged: everything. */
int __wrap_ioctl(int fd, unsigned long request, void *bytes)
{
    (void)fd;
    (void)request;
    looks++;
    memset(bytes, 0, sizeof(int));
    return 0;
}

/* How often memory is asked for while the worker writes so many events to so many streams. */
static size_t allocations_of(size_t streams, int events, bool gzip)
{
    stream_rig_init(&rig, &(struct stream_rig_options){0});
    worker_rig_compress(rig.worker, gzip);
    for (size_t i = 0; i < streams; i++)
        fake_socket_reserve(stream_rig_open_ready(&rig, true), ROOM);
    stream_rig_publish_singly(&rig, 1, 3);
    stream_rig_publish(&rig, "acme", 4, 3 + events);
    allocations = 0;
    is_counting = true;
    stream_rig_turn(&rig);
    is_counting = false;
    for (size_t i = 0; i < streams; i++)
        assert_int_equal(worker_rig_stream(rig.worker, rig.sockets[i])->events, 3 + events);
    stream_rig_release(&rig);
    return allocations;
}

static void no_event_takes_memory_for_each_stream(void **state)
{
    (void)state;
    for (int events = 1; events <= 10; events += 9) {
        assert_int_equal(allocations_of(FEW, events, false), allocations_of(MANY, events, false));
        assert_int_equal(allocations_of(FEW, events, true), allocations_of(MANY, events, true));
    }
}

static void a_quiet_stream_is_looked_at_when_it_gets_a_heartbeat(void **state)
{
    struct fake_socket *client;
    size_t before;

    (void)state;
    stream_rig_init(&rig, &(struct stream_rig_options){0});
    client = stream_rig_open_ready(&rig, true);
    before = client->size;
    looks = 0;
    for (int s = 0; s < 600; s++) {
        fake_clock_advance_ms(1000);
        stream_rig_turn(&rig);
    }
    assert_in_range((client->size - before) / strlen("c\r\n:heartbeat\n\n\r\n"), 18, 23);
    assert_int_equal(looks, (client->size - before) / strlen("c\r\n:heartbeat\n\n\r\n"));
    stream_rig_release(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_event_takes_memory_for_each_stream),
        cmocka_unit_test(a_quiet_stream_is_looked_at_when_it_gets_a_heartbeat),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
