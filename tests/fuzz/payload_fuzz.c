#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/transform.h"
#include "core/config_value.h"
#include "replay/redis_member.h"
#include "tests/fuzz/fuzz.h"

enum { MAX_EVENT_BYTES = 65536 };

/* What is accepted becomes an event that a browser reads back, also after it was stored. */
static void check_accepted(const struct transformed *transformed, const char *payload, size_t size)
{
    struct frame_event event = {
        .kind = FRAME_EVENT,
        .subject = transformed->subject,
        .event = transformed->event,
        .payload = payload,
        .payload_size = size,
        .position = {.seq = 12345, .ms = 1699999999999},
    };
    struct frame *frame = frame_new_event(&event);
    struct buffer member = buffer_make(2 * MAX_EVENT_BYTES);
    struct frame *stored;
    size_t frame_size;

    MUST(config_is_company_id(transformed->company, strlen(transformed->company)));
    MUST(frame != NULL);
    fuzz_check_frame(frame, payload, size);
    frame_bytes(frame, false, &frame_size);
    MUST(frame_encoded_size(&event) == frame_size);
    redis_member_write(frame, &member);
    MUST(!member.failed);
    stored = redis_member_read(member.data, member.size, event.position.ms);
    MUST(stored != NULL);
    fuzz_check_frame(stored, payload, size);
    frame_unref(stored);
    frame_unref(frame);
    buffer_release(&member);
}

/*
 * Another JSON parser must not find another company. It may refuse more: it converts numbers, and has other limits. What it
 * takes, with no member twice, is accepted; but it overlooks NUL bytes, which are no JSON.
 */
static void check_by_jansson(enum transform_result result, const struct transformed *transformed, const char *payload,
                             size_t size)
{
    json_t *any = json_loadb(payload, size, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
    json_t *unique = json_loadb(payload, size, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    const json_t *company = json_object_get(unique, "companyId");

    if (any && result == TRANSFORM_ACCEPTED) {
        const char *found = json_string_value(json_object_get(any, "companyId"));

        MUST(json_is_object(any) && found && strcmp(found, transformed->company) == 0);
    }
    if (json_is_string(company) && config_is_company_id(json_string_value(company), json_string_length(company)))
        MUST(result == TRANSFORM_ACCEPTED || size > MAX_EVENT_BYTES || memchr(payload, '\0', size));
    json_decref(any);
    json_decref(unique);
}

/* The input: a subject, the end of its line, and the payload. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
    struct transform *transform;
    struct transformed transformed;
    enum transform_result result;
    const char *payload;
    size_t payload_size;
    char *subject;

    /* NATS lets neither white space nor NUL into a subject. */
    if (!end || end == data || memchr(data, '\0', (size_t)(end - data)) || memchr(data, ' ', (size_t)(end - data)))
        return 0;
    subject = fuzz_text(data, (size_t)(end - data));
    payload = (const char *)end + 1;
    payload_size = size - (size_t)(end + 1 - data);
    transform =
        transform_new("metrics.sroi*=sroi_updated,metrics.*=metric_updated,a*b*c.>=abc,>=other", MAX_EVENT_BYTES);
    MUST(transform != NULL);
    result = transform_message(transform, subject, payload, payload_size, &transformed);
    MUST(*transform_result_text(result));
    check_by_jansson(result, &transformed, payload, payload_size);
    if (result == TRANSFORM_ACCEPTED)
        check_accepted(&transformed, payload, payload_size);
    transform_free(transform);
    free(subject);
    return 0;
}
