#include "support/hub_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "support/fake_clock.h"

struct bridge_rig hub_rig;
int hub_token;

void hub_rig_begin(const struct bridge_rig_options *options)
{
    fake_clock_set_ms(HUB_NOW);
    bridge_rig_init(&hub_rig, options);
}

int hub_rig_tear_down(void **state)
{
    (void)state;
    bridge_rig_release(&hub_rig);
    return 0;
}

void hub_rig_have_nine(size_t recent)
{
    hub_rig_begin(&(struct bridge_rig_options){.state = STORE_READY, .recent_events = recent});
    bridge_rig_subscribe(&hub_rig, "acme", 1, &hub_token);
    fake_store_answer(hub_rig.store);
    for (int i = 1; i <= 9; i++) {
        fake_clock_set_ms(HUB_NOW + i);
        bridge_rig_publish(&hub_rig, "acme", i);
    }
    fake_clock_set_ms(HUB_NOW + 10);
    bridge_rig_settle(&hub_rig);
    fake_clock_set_ms(HUB_NOW + 10);
    assert_int_equal(fake_store_count(hub_rig.store, "acme"), 9);
}

struct hub_read hub_rig_make_read(const char *id, bool first)
{
    struct hub_read read = {.worker = 0, .token = &hub_token, .first = first};

    assert_true(event_id_parse(id, strlen(id), &read.after));
    strcpy(read.requested, id);
    return read;
}

struct hub_page *hub_rig_resume(const char *id)
{
    struct hub_read read = hub_rig_make_read(id, true);
    struct hub_page *page;

    bridge_rig_read(&hub_rig, "acme", &read);
    fake_store_answer_all(hub_rig.store);
    page = bridge_rig_take_page(&hub_rig, 0);
    assert_ptr_equal(page->token, &hub_token);
    return page;
}

void hub_rig_release(struct hub_page *page)
{
    page->message.release(&page->message);
}

void hub_rig_assert_page(struct hub_page *page, uint64_t first, uint64_t last)
{
    size_t count = first > 0 ? (size_t)(last - first + 1) : 0;

    assert_true(page->available);
    assert_true(page->last);
    assert_int_equal(page->count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(frame_position(page->frames[i]).seq, first + i);
    hub_rig_release(page);
}

void hub_rig_assert_no_gap(const char *id, uint64_t first, uint64_t last)
{
    struct hub_page *page = hub_rig_resume(id);

    assert_null(page->gap);
    assert_int_equal(page->reason, GAP_NONE);
    hub_rig_assert_page(page, first, last);
}
