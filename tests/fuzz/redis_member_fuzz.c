#include <stdlib.h>
#include <string.h>

#include "replay/redis_member.h"
#include "tests/fuzz/fuzz.h"

/* The payload behind the third '|'. */
static size_t payload_offset(const char *member, size_t size)
{
    const char *at = member;

    for (int i = 0; i < 3; i++) {
        at = memchr(at, '|', size - (size_t)(at - member));
        MUST(at != NULL);
        at++;
    }
    return (size_t)(at - member);
}

/* Whatever stands in Redis: what is read as an event is one event, and stays the same when it is stored again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint64_t ms = 1699999999999;
    const char *member = (const char *)data;
    struct frame *frame = redis_member_read(member, size, ms);
    struct buffer again = buffer_make(2 * size + 1024);
    struct frame *frame_again;
    size_t offset;

    if (!frame)
        return 0;
    offset = payload_offset(member, size);
    fuzz_check_frame(frame, member + offset, size - offset);
    redis_member_write(frame, &again);
    MUST(!again.failed);
    frame_again = redis_member_read(again.data, again.size, ms);
    MUST(frame_again != NULL);
    MUST(frame_kind(frame_again) == frame_kind(frame));
    fuzz_check_frame(frame_again, member + offset, size - offset);
    frame_unref(frame_again);
    frame_unref(frame);
    buffer_release(&again);
    return 0;
}
