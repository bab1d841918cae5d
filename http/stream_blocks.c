#include "http/stream_blocks.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/json.h"

enum { BLOCK_MAX_BYTES = 16 * 1024 };

/* Frees the buffer. */
static struct frame *control(struct buffer *block)
{
    struct frame *frame = block->failed ? NULL : frame_new_control(block->data, block->size);

    buffer_release(block);
    if (!frame)
        abort();
    return frame;
}

static struct frame *raw(struct buffer *bytes)
{
    struct frame *frame = bytes->failed ? NULL : frame_new_raw(bytes->data, bytes->size);

    buffer_release(bytes);
    if (!frame)
        abort();
    return frame;
}

/* Appends a block of that event name with the document as its data; frees the document. */
static void append_event(struct buffer *block, const char *event, struct json *json)
{
    size_t size = 0;
    const char *text = json ? json_text(json, &size) : NULL;

    buffer_printf(block, "event: %s\ndata: ", event);
    if (text)
        buffer_append(block, text, size);
    else
        block->failed = true;
    buffer_append_text(block, "\n\n");
    json_free(json);
}

struct frame *stream_block_heartbeat(void)
{
    struct buffer block = buffer_make(BLOCK_MAX_BYTES);

    buffer_append_text(&block, ":heartbeat\n\n");
    return control(&block);
}

struct frame *stream_block_ready(const char *company, const char *connection_id, int64_t replayed, bool complete,
                                 const char *head_id, const char *ticket)
{
    struct buffer block = buffer_make(BLOCK_MAX_BYTES);
    struct json *json = json_new();

    if (json) {
        json_begin_object(json);
        json_put_string(json, "companyId", company);
        json_put_string(json, "connectionId", connection_id);
        json_put_number(json, "replayed", replayed);
        json_put_bool(json, "complete", complete);
        json_put_string(json, "head", head_id);
        if (ticket)
            json_put_string(json, "ticket", ticket);
        json_end_object(json);
    }
    append_event(&block, "stream.ready", json);
    buffer_printf(&block, "id: %s\n\n", head_id);
    return control(&block);
}

struct frame *stream_block_gap(enum gap_reason reason, const char *requested, const struct frame *oldest,
                               int64_t missed)
{
    char oldest_id[EVENT_ID_SIZE];
    struct gap gap = {.reason = reason, .requested = requested, .missed = missed};
    struct frame *frame;

    if (oldest) {
        frame_id(oldest, oldest_id);
        gap.oldest = oldest_id;
    }
    frame = gap_frame(&gap);
    if (!frame)
        abort();
    return frame;
}

struct frame *stream_block_store(bool restored)
{
    struct buffer block = buffer_make(BLOCK_MAX_BYTES);
    struct json *json = json_new();

    if (json) {
        json_begin_object(json);
        json_put_string(json, "state", restored ? "restored" : "lost");
        json_end_object(json);
    }
    append_event(&block, "stream.store", json);
    return control(&block);
}

struct frame *stream_block_expiring(int64_t expires_ms)
{
    struct buffer block = buffer_make(BLOCK_MAX_BYTES);
    struct json *json = json_new();

    if (json) {
        json_begin_object(json);
        json_put_number(json, "expiresAt", expires_ms);
        json_end_object(json);
    }
    append_event(&block, "stream.expiring", json);
    return control(&block);
}

/* Appends bytes as a chunk, or as they are. */
static void append_chunk(struct buffer *bytes, const struct buffer *block, bool chunked)
{
    if (chunked)
        buffer_printf(bytes, "%zx\r\n", block->size);
    buffer_append(bytes, block->data, block->size);
    if (chunked)
        buffer_append_text(bytes, "\r\n");
}

static void append_end(struct buffer *bytes, bool chunked)
{
    if (chunked)
        buffer_append_text(bytes, "0\r\n\r\n");
}

/* Lets the block be the bytes that were made of it. */
static void replace(struct buffer *block, struct buffer *bytes)
{
    bytes->failed |= block->failed;
    buffer_release(block);
    *block = *bytes;
}

/* Replaces the text by the beginning of a compressed stream that holds it. */
static void begin_gzip(struct buffer *block, struct gzip_sum *sum)
{
    struct buffer bytes = buffer_make(block->max_bytes);

    gzip_append_header(&bytes);
    *sum = (struct gzip_sum){0};
    gzip_append_stored(&bytes, block->data, block->size, sum);
    replace(block, &bytes);
}

/* Replaces the text by the end of a compressed stream that holds it. */
static void end_gzip(struct buffer *block, struct gzip_sum sum)
{
    struct buffer bytes = buffer_make(block->max_bytes);

    gzip_append_stored(&bytes, block->data, block->size, &sum);
    gzip_append_end(&bytes, sum);
    replace(block, &bytes);
}

struct frame *stream_block_closing(const char *reason, int64_t retry_ms, bool chunked, const struct gzip_sum *gzip)
{
    struct buffer block = buffer_make(BLOCK_MAX_BYTES);
    struct buffer bytes = buffer_make(BLOCK_MAX_BYTES);
    struct json *json = json_new();

    if (json) {
        json_begin_object(json);
        json_put_string(json, "reason", reason);
        json_put_number(json, "retryMs", retry_ms);
        json_end_object(json);
    }
    buffer_printf(&block, "retry: %" PRId64 "\n", retry_ms);
    append_event(&block, "stream.closing", json);
    if (gzip)
        end_gzip(&block, *gzip);
    append_chunk(&bytes, &block, chunked);
    append_end(&bytes, chunked);
    bytes.failed |= block.failed;
    buffer_release(&block);
    return raw(&bytes);
}

/* The response head and the retry block. */
static void append_head(struct buffer *bytes, bool chunked, const char *extra, int64_t retry_ms,
                        struct gzip_sum *ret_gzip)
{
    struct buffer block = buffer_make(BLOCK_MAX_BYTES);

    buffer_printf(bytes,
                  "HTTP/1.%d 200 OK\r\n"
                  "Content-Type: text/event-stream\r\n"
                  "Cache-Control: no-cache, no-transform\r\n"
                  "Connection: keep-alive\r\n"
                  "X-Accel-Buffering: no\r\n"
                  "X-Content-Type-Options: nosniff\r\n"
                  "%s%s%s\r\n",
                  chunked ? 1 : 0, chunked ? "Transfer-Encoding: chunked\r\n" : "",
                  ret_gzip ? "Content-Encoding: gzip\r\n" : "", extra);
    buffer_printf(&block, "retry: %" PRId64 "\n\n", retry_ms);
    if (ret_gzip)
        begin_gzip(&block, ret_gzip);
    append_chunk(bytes, &block, chunked);
    bytes->failed |= block.failed;
    buffer_release(&block);
}

struct frame *stream_block_head(bool chunked, const char *extra, int64_t retry_ms, struct gzip_sum *ret_gzip)
{
    struct buffer bytes = buffer_make(BLOCK_MAX_BYTES);

    append_head(&bytes, chunked, extra, retry_ms, ret_gzip);
    return raw(&bytes);
}
