#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/live.h"
#include "tests/fuzz/fuzz.h"

enum { FRAME_FIXED_SIZE = 31 }; /* of a frame, besides its names and its payload */

static bool consists_of(const char *text, const char *characters)
{
    return strspn(text, characters) == strlen(text);
}

#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

static void check_company(const char *company)
{
    MUST(strlen(company) > 0 && strlen(company) <= 128);
    MUST(!strchr("._:-", company[0]) && consists_of(company, NAME_CHARACTERS ":"));
}

static void check_names(const struct frame *frame)
{
    const char *subject = frame_subject(frame);
    const char *event = frame_event_name(frame);

    MUST(strlen(subject) > 0 && strlen(subject) <= EVENT_SUBJECT_MAX && consists_of(subject, NAME_CHARACTERS));
    MUST(strlen(event) > 0 && strlen(event) <= 64 && consists_of(event, NAME_CHARACTERS ":"));
    MUST((frame_kind(frame) == FRAME_HOLE) == (strcmp(event, FRAME_GAP_EVENT) == 0));
}

/* What was read so far, written again; the same bytes, unless a payload had a line end that frames do not keep. */
struct rewritten {
    struct buffer message;
    bool has_cr;
};

static void check_frame(struct live_reader *reader, struct event_position *last, struct rewritten *again)
{
    const char *payload = reader->at + FRAME_FIXED_SIZE;
    size_t before = again->message.size;
    struct frame *frame;

    MUST(live_read_frame(reader, 77, &frame) == 0);
    payload += strlen(frame_subject(frame)) + strlen(frame_event_name(frame));
    MUST(payload <= reader->at);
    check_names(frame);
    MUST(frame_received_ns(frame) == 77);
    MUST(event_position_compare(frame_position(frame), *last) > 0);
    *last = frame_position(frame);
    fuzz_check_frame(frame, payload, (size_t)(reader->at - payload));
    again->has_cr = again->has_cr || memchr(payload, '\r', (size_t)(reader->at - payload));
    live_put_frame(&again->message, frame);
    MUST(again->message.size - before == live_frame_size(frame));
    frame_unref(frame);
}

/* Returns what ended the sections: 0 or -EINVAL. */
static int check_sections(struct live_reader *reader, struct rewritten *again)
{
    struct live_reader over = *reader;
    struct live_section section;
    struct frame *frame;
    int status;

    while ((status = live_read_section(reader, &section)) > 0) {
        struct event_position last = section.before;

        MUST(live_read_section(&over, &section) == 1); /* also where no frame was read */
        check_company(section.company);
        MUST(section.since_ms <= EVENT_NUMBER_MAX);
        live_begin_section(&again->message, &section);
        for (size_t i = 0; i < section.count; i++)
            check_frame(reader, &last, again);
        MUST(live_read_frame(reader, 0, &frame) == -EINVAL);
    }
    MUST(live_read_section(&over, &section) == status);
    return status;
}

static int check_company_body(struct live_reader *reader, struct rewritten *again)
{
    char company[COMPANY_ID_SIZE];
    int status = live_read_company(reader, company);

    if (status == 0) {
        check_company(company);
        live_put_company(&again->message, company);
    }
    return status;
}

static int check_counts_body(struct live_reader *reader, struct rewritten *again)
{
    char company[COMPANY_ID_SIZE];
    struct live_counts counts;
    uint32_t connections;
    uint32_t count = 0;
    int status = live_read_counts(reader, &counts);

    if (status < 0)
        return status;
    MUST(counts.listed <= counts.companies && counts.companies <= counts.connections);
    live_begin_counts(&again->message, &counts);
    while ((status = live_read_count(reader, company, &connections)) > 0) {
        check_company(company);
        MUST(connections > 0);
        live_put_count(&again->message, company, connections);
        count++;
    }
    MUST(counts.offset + count <= counts.listed && counts.listed <= LIVE_COMPANIES_MAX);
    MUST(status == 0); /* it was all looked at before */
    return status;
}

/* Whatever comes: what is taken is what a replica may write, and the same when it is written again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rewritten again = {.message = buffer_make(size + 1)};
    struct live_reader reader;
    struct live_header header;
    int status;

    if (live_read_header(&reader, (const char *)data, size, &header) != 0)
        return 0;
    MUST(header.hole_ms <= EVENT_NUMBER_MAX && header.place <= EVENT_NUMBER_MAX);
    live_begin(&again.message, &header);
    if (header.type == LIVE_LOAD)
        status = check_company_body(&reader, &again);
    else if (header.type == LIVE_COUNTS)
        status = check_counts_body(&reader, &again);
    else
        status = check_sections(&reader, &again);
    MUST(status == 0 || status == -EINVAL);
    MUST(!again.message.failed && again.message.size <= size);
    if (!again.has_cr) {
        MUST(memcmp(again.message.data, data, again.message.size) == 0);
        MUST(status != 0 || again.message.size == size);
    }
    buffer_release(&again.message);
    return 0;
}
