#include "bridge/live.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/config_value.h"

/*
 * header   version 1, type 1, from 16, about 16, epoch 8, batch 8, former epoch 8, former batch 8, sent_ns 8,
 *          stored_ms 8, hole_ms 8, place 8, lag_ms 4, flags 1, store 8
 * company  size 1, text
 * section  company, before (ms 8, seq 8), since_ms 8, count 4, frames
 * counts   connections 4, companies 4, listed 4, offset 4, then of each company: company, connections 4
 * frame    kind 1, position (ms 8, seq 8), mark 8, subject and event name (each size 1, text), payload (size 4, bytes)
 */
enum {
    HEADER_SIZE = 1 + 1 + LIVE_ID_SIZE + LIVE_ID_SIZE + 8 * 8 + 4 + 1 + 8,
    FRAME_FIXED_SIZE = 1 + 8 + 8 + 8 + 1 + 1 + 4,
    EVENT_BYTES_MAX = 16 * 1024 * 1024, /* what MAX_EVENT_BYTES can be */
};

enum { FLAG_STORE_LOST = 1, FLAG_HAS_HOLE = 2, FLAGS = FLAG_STORE_LOST | FLAG_HAS_HOLE };

/* On the wire, whatever the order in enum frame_kind. */
enum { KIND_EVENT = 1, KIND_HOLE = 2 };

/* Writing. */

static void put_number(struct buffer *message, uint64_t number, size_t size)
{
    unsigned char bytes[8] = {0};

    for (size_t i = size; i-- > 0; number >>= 8)
        bytes[i] = (unsigned char)number;
    buffer_append(message, bytes, size);
}

static void put_name(struct buffer *message, const char *name)
{
    size_t size = strlen(name);

    put_number(message, size, 1);
    buffer_append(message, name, size);
}

static void put_position(struct buffer *message, struct event_position position)
{
    put_number(message, position.ms, 8);
    put_number(message, position.seq, 8);
}

void live_subject(const char *group, char ret_subject[LIVE_SUBJECT_SIZE])
{
    snprintf(ret_subject, LIVE_SUBJECT_SIZE, "%s.%s", LIVE_SUBJECT, group);
}

void live_begin(struct buffer *message, const struct live_header *header)
{
    buffer_clear(message);
    put_number(message, LIVE_VERSION, 1);
    put_number(message, header->type, 1);
    buffer_append(message, header->from.bytes, LIVE_ID_SIZE);
    buffer_append(message, header->about.bytes, LIVE_ID_SIZE);
    put_number(message, header->epoch, 8);
    put_number(message, header->batch, 8);
    put_number(message, header->former_epoch, 8);
    put_number(message, header->former_batch, 8);
    put_number(message, header->sent_ns, 8);
    put_number(message, header->stored_ms, 8);
    put_number(message, header->hole_ms, 8);
    put_number(message, header->place, 8);
    put_number(message, header->lag_ms, 4);
    put_number(message, (header->store_lost ? FLAG_STORE_LOST : 0U) | (header->has_hole ? FLAG_HAS_HOLE : 0U), 1);
    put_number(message, header->store, 8);
}

void live_put_company(struct buffer *message, const char *company)
{
    put_name(message, company);
}

void live_begin_section(struct buffer *message, const struct live_section *section)
{
    put_name(message, section->company);
    put_position(message, section->before);
    put_number(message, section->since_ms, 8);
    put_number(message, section->count, 4);
}

void live_put_frame(struct buffer *message, const struct frame *frame)
{
    put_number(message, frame_kind(frame) == FRAME_HOLE ? KIND_HOLE : KIND_EVENT, 1);
    put_position(message, frame_position(frame));
    put_number(message, frame_mark(frame), 8);
    put_name(message, frame_subject(frame));
    put_name(message, frame_event_name(frame));
    put_number(message, frame_payload_size(frame), 4);
    frame_append_payload(frame, message);
}

void live_begin_counts(struct buffer *message, const struct live_counts *counts)
{
    put_number(message, counts->connections, 4);
    put_number(message, counts->companies, 4);
    put_number(message, counts->listed, 4);
    put_number(message, counts->offset, 4);
}

void live_put_count(struct buffer *message, const char *company, uint32_t connections)
{
    put_name(message, company);
    put_number(message, connections, 4);
}

size_t live_frame_size(const struct frame *frame)
{
    return FRAME_FIXED_SIZE + strlen(frame_subject(frame)) + strlen(frame_event_name(frame)) +
           frame_payload_size(frame);
}

void live_put_body(struct buffer *message, const struct live_reader *body)
{
    buffer_append(message, body->at, (size_t)(body->end - body->at));
}

/* Reading: each takes something from the front, or says that it is not there, or not as it may be. */

static bool take_bytes(struct live_reader *reader, size_t size, const char **ret_bytes)
{
    if ((size_t)(reader->end - reader->at) < size)
        return false;
    *ret_bytes = reader->at;
    reader->at += size;
    return true;
}

static bool take_number(struct live_reader *reader, size_t size, uint64_t *ret_number)
{
    const char *bytes;
    uint64_t number = 0;

    if (!take_bytes(reader, size, &bytes))
        return false;
    for (size_t i = 0; i < size; i++)
        number = number << 8 | (unsigned char)bytes[i];
    *ret_number = number;
    return true;
}

/* Numbers that go into ids, and the places in front of them. */
static bool take_event_number(struct live_reader *reader, uint64_t *ret_number)
{
    return take_number(reader, 8, ret_number) && *ret_number <= EVENT_NUMBER_MAX;
}

static bool take_position(struct live_reader *reader, struct event_position *ret_position)
{
    return take_event_number(reader, &ret_position->ms) && take_event_number(reader, &ret_position->seq);
}

static bool take_id(struct live_reader *reader, struct live_id *ret_id)
{
    const char *bytes;

    if (!take_bytes(reader, LIVE_ID_SIZE, &bytes))
        return false;
    memcpy(ret_id->bytes, bytes, LIVE_ID_SIZE);
    return true;
}

static bool is_subject(const char *text, size_t size)
{
    char clean[EVENT_SUBJECT_MAX + 1];

    event_id_subject(text, size, clean);
    return strlen(clean) == size && memcmp(clean, text, size) == 0;
}

static bool is_event_or_hole_name(const char *text, size_t size)
{
    return config_is_event_name(text, size) ||
           (size == strlen(FRAME_GAP_EVENT) && memcmp(text, FRAME_GAP_EVENT, size) == 0);
}

/* A name of text_size - 1 bytes at most; what is_name() takes holds no NUL, and nothing that ends a line. */
static bool take_name(struct live_reader *reader, bool (*is_name)(const char *text, size_t size), char *ret_text,
                      size_t text_size)
{
    const char *bytes;
    uint64_t size;

    if (!take_number(reader, 1, &size) || size == 0 || size >= text_size || !take_bytes(reader, size, &bytes) ||
        !is_name(bytes, size))
        return false;
    memcpy(ret_text, bytes, size);
    ret_text[size] = '\0';
    return true;
}

static bool take_header(struct live_reader *reader, struct live_header *ret_header)
{
    uint64_t version;
    uint64_t type;
    uint64_t lag_ms;
    uint64_t flags;

    if (!take_number(reader, 1, &version) || version != LIVE_VERSION || !take_number(reader, 1, &type) ||
        type < LIVE_OWNER || type > LIVE_GONE || !take_id(reader, &ret_header->from) ||
        !take_id(reader, &ret_header->about) || !take_number(reader, 8, &ret_header->epoch) ||
        !take_number(reader, 8, &ret_header->batch) || !take_number(reader, 8, &ret_header->former_epoch) ||
        !take_number(reader, 8, &ret_header->former_batch) || !take_number(reader, 8, &ret_header->sent_ns) ||
        !take_number(reader, 8, &ret_header->stored_ms) || !take_event_number(reader, &ret_header->hole_ms) ||
        !take_event_number(reader, &ret_header->place) || !take_number(reader, 4, &lag_ms) ||
        !take_number(reader, 1, &flags) || flags > FLAGS || !take_number(reader, 8, &ret_header->store))
        return false;
    ret_header->type = (enum live_type)type;
    ret_header->lag_ms = (uint32_t)lag_ms;
    ret_header->store_lost = (flags & FLAG_STORE_LOST) != 0;
    ret_header->has_hole = (flags & FLAG_HAS_HOLE) != 0;
    return true;
}

static bool has_body(enum live_type type)
{
    return type == LIVE_FRAMES || type == LIVE_SALVAGE || type == LIVE_LOAD || type == LIVE_COUNTS;
}

int live_read_header(struct live_reader *reader, const char *message, size_t size, struct live_header *ret_header)
{
    struct live_reader body;
    struct live_header header;

    /* An empty message need not have an address. */
    if (size < HEADER_SIZE)
        return -EINVAL;
    body = (struct live_reader){.at = message, .end = message + size};
    if (!take_header(&body, &header) || (!has_body(header.type) && body.at < body.end))
        return -EINVAL;
    body.section_end = body.at;
    *reader = body;
    *ret_header = header;
    return 0;
}

int live_read_company(struct live_reader *reader, char ret_company[COMPANY_ID_SIZE])
{
    char company[COMPANY_ID_SIZE];

    if (!take_name(reader, config_is_company_id, company, sizeof company) || reader->at < reader->end)
        return -EINVAL;
    strcpy(ret_company, company);
    return 0;
}

static bool take_small_number(struct live_reader *reader, uint32_t *ret_number)
{
    uint64_t number;

    if (!take_number(reader, 4, &number))
        return false;
    *ret_number = (uint32_t)number;
    return true;
}

static bool take_count(struct live_reader *reader, char company[COMPANY_ID_SIZE], uint32_t *ret_connections)
{
    return take_name(reader, config_is_company_id, company, COMPANY_ID_SIZE) &&
           take_small_number(reader, ret_connections) && *ret_connections > 0;
}

static bool take_counts(struct live_reader *reader, struct live_counts *ret_counts)
{
    return take_small_number(reader, &ret_counts->connections) && take_small_number(reader, &ret_counts->companies) &&
           take_small_number(reader, &ret_counts->listed) && take_small_number(reader, &ret_counts->offset) &&
           ret_counts->companies <= ret_counts->connections && ret_counts->listed <= ret_counts->companies &&
           ret_counts->listed <= LIVE_COMPANIES_MAX && ret_counts->offset <= ret_counts->listed;
}

/* A part says something, or that there is nothing to say. */
static bool is_part(const struct live_counts *counts, uint32_t count)
{
    return count <= counts->listed - counts->offset && (count > 0 || counts->listed == 0);
}

int live_read_counts(struct live_reader *reader, struct live_counts *ret_counts)
{
    struct live_reader body = *reader;
    struct live_reader ahead;
    struct live_counts counts;
    char company[COMPANY_ID_SIZE];
    uint32_t connections;
    uint32_t count = 0;

    if (!take_counts(&body, &counts))
        return -EINVAL;
    for (ahead = body; ahead.at < ahead.end; count++)
        if (!take_count(&ahead, company, &connections))
            return -EINVAL;
    if (!is_part(&counts, count))
        return -EINVAL;
    *reader = body;
    *ret_counts = counts;
    return 0;
}

int live_read_count(struct live_reader *reader, char ret_company[COMPANY_ID_SIZE], uint32_t *ret_connections)
{
    struct live_reader ahead = *reader;
    char company[COMPANY_ID_SIZE];
    uint32_t connections;

    if (ahead.at == ahead.end)
        return 0;
    if (!take_count(&ahead, company, &connections))
        return -EINVAL;
    *reader = ahead;
    strcpy(ret_company, company);
    *ret_connections = connections;
    return 1;
}

/* What frame_new_event() wants, with the names that it points to. */
struct frame_parts {
    struct frame_event event;
    char subject[EVENT_SUBJECT_MAX + 1];
    char event_name[CONFIG_EVENT_NAME_MAX + 1];
};

/*
 * Each line end becomes a line of its own, so that an event grows sevenfold at most: only one that may be too large is
 * measured.
 */
static bool is_event_size(const struct frame_event *event)
{
    return event->payload_size <= EVENT_BYTES_MAX / 8 || frame_encoded_size(event) <= EVENT_BYTES_MAX;
}

/* A time of 0 stands for none, and events are counted from 1; a hole may stand in front of the first. */
static bool take_frame(struct live_reader *reader, struct frame_parts *ret_parts)
{
    struct frame_event *event = &ret_parts->event;
    uint64_t kind;
    uint64_t size;

    *event = (struct frame_event){.subject = ret_parts->subject, .event = ret_parts->event_name};
    if (!take_number(reader, 1, &kind) || (kind != KIND_EVENT && kind != KIND_HOLE) ||
        !take_position(reader, &event->position) || event->position.ms == 0 ||
        (kind == KIND_EVENT && event->position.seq == 0) || !take_number(reader, 8, &event->mark) ||
        !take_name(reader, is_subject, ret_parts->subject, sizeof ret_parts->subject) ||
        !take_name(reader, is_event_or_hole_name, ret_parts->event_name, sizeof ret_parts->event_name) ||
        (kind == KIND_HOLE) != (strcmp(event->event, FRAME_GAP_EVENT) == 0) || !take_number(reader, 4, &size) ||
        !take_bytes(reader, size, &event->payload))
        return false;
    event->kind = kind == KIND_HOLE ? FRAME_HOLE : FRAME_EVENT;
    event->payload_size = size;
    return is_event_size(event);
}

static bool take_section(struct live_reader *reader, struct live_section *ret_section)
{
    uint64_t count;

    if (!take_name(reader, config_is_company_id, ret_section->company, sizeof ret_section->company) ||
        !take_position(reader, &ret_section->before) || !take_event_number(reader, &ret_section->since_ms) ||
        !take_number(reader, 4, &count))
        return false;
    ret_section->count = count;
    return true;
}

/* Goes over a section's frames: all of them must be there, in order. */
static bool take_frames(struct live_reader *reader, const struct live_section *section)
{
    struct event_position last = section->before;
    struct frame_parts parts;

    for (size_t i = 0; i < section->count; i++) {
        if (!take_frame(reader, &parts) || event_position_compare(parts.event.position, last) <= 0)
            return false;
        last = parts.event.position;
    }
    return true;
}

int live_read_section(struct live_reader *reader, struct live_section *ret_section)
{
    struct live_reader ahead = *reader;
    struct live_section section;
    const char *frames;

    ahead.at = reader->section_end;
    if (ahead.at == ahead.end)
        return 0;
    if (!take_section(&ahead, &section))
        return -EINVAL;
    frames = ahead.at;
    if (!take_frames(&ahead, &section))
        return -EINVAL;
    reader->at = frames;
    reader->section_end = ahead.at;
    *ret_section = section;
    return 1;
}

int live_read_frame(struct live_reader *reader, int64_t received_ns, struct frame **ret_frame)
{
    struct live_reader ahead = *reader;
    struct frame_parts parts;
    struct frame *frame;

    ahead.end = reader->section_end;
    if (!take_frame(&ahead, &parts))
        return -EINVAL;
    parts.event.received_ns = received_ns;
    frame = frame_new_event(&parts.event);
    if (!frame)
        return -ENOMEM;
    reader->at = ahead.at;
    *ret_frame = frame;
    return 0;
}

bool live_id_equals(struct live_id a, struct live_id b)
{
    return memcmp(a.bytes, b.bytes, LIVE_ID_SIZE) == 0;
}

void live_id_format(struct live_id id, char ret_text[LIVE_ID_TEXT_SIZE])
{
    for (size_t i = 0; i < LIVE_ID_SIZE; i++)
        snprintf(ret_text + 2 * i, 3, "%02x", id.bytes[i]);
}
