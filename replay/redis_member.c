#include "replay/redis_member.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "core/event_id.h"

void redis_member_write(const struct frame *frame, struct buffer *member)
{
    buffer_printf(member, "%0*" PRIu64 "|%s|%s", REDIS_MEMBER_SEQ_DIGITS, frame_position(frame).seq,
                  frame_subject(frame), frame_event_name(frame));
    if (frame_kind(frame) == FRAME_HOLE)
        buffer_printf(member, " %" PRIu64, frame_position(frame).ms);
    buffer_append_text(member, "|");
    frame_append_payload(frame, member);
}

/* Copies the text up to the next '|' and moves *at behind it. */
static bool take_part(const char **at, const char *end, char *ret_text, size_t text_size)
{
    const char *divider = memchr(*at, '|', (size_t)(end - *at));
    size_t size = divider ? (size_t)(divider - *at) : 0;

    if (size == 0 || size >= text_size || memchr(*at, '\0', size))
        return false;
    memcpy(ret_text, *at, size);
    ret_text[size] = '\0';
    *at = divider + 1;
    return true;
}

static bool parse_seq(const char *digits, uint64_t *ret_seq)
{
    uint64_t seq = 0;

    for (int i = 0; i < REDIS_MEMBER_SEQ_DIGITS; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        seq = seq * 10 + (uint64_t)(digits[i] - '0');
    }
    *ret_seq = seq;
    return seq <= EVENT_NUMBER_MAX;
}

/* Whether it is a hole's; cuts off its ms. */
static bool take_hole(char *event)
{
    size_t size = strlen(FRAME_GAP_EVENT);

    if (strncmp(event, FRAME_GAP_EVENT, size) != 0 || (event[size] != ' ' && event[size] != '\0'))
        return false;
    event[size] = '\0';
    return true;
}

/* Redis holds what any of its clients put there: bytes that would break the framing of a block never get through. */
static bool is_clean_name(const char *text)
{
    return !strpbrk(text, "\r\n");
}

struct frame *redis_member_read(const char *member, size_t size, uint64_t ms)
{
    char digits[REDIS_MEMBER_SEQ_DIGITS + 1];
    char subject[EVENT_SUBJECT_MAX + 1];
    char clean_subject[EVENT_SUBJECT_MAX + 1];
    char event[65];
    const char *at = member;
    const char *end = member + size;
    struct frame_event parts = {.position.ms = ms};

    /* The score is anybody's too, and 0 stands for one that is no number. */
    if (ms == 0 || ms > EVENT_NUMBER_MAX)
        return NULL;
    if (!take_part(&at, end, digits, sizeof digits) || strlen(digits) != REDIS_MEMBER_SEQ_DIGITS ||
        !parse_seq(digits, &parts.position.seq))
        return NULL;
    if (!take_part(&at, end, subject, sizeof subject) || !take_part(&at, end, event, sizeof event) ||
        !is_clean_name(event))
        return NULL;
    event_id_subject(subject, strlen(subject), clean_subject);
    parts.kind = take_hole(event) ? FRAME_HOLE : FRAME_EVENT;
    parts.subject = clean_subject;
    parts.event = event;
    parts.payload = at;
    parts.payload_size = (size_t)(end - at);
    return frame_new_event(&parts);
}
