#include "support/sse_reader.h"

#include <stdlib.h>
#include <string.h>

/* The large arrays need no clearing. */
static void block_clear(struct sse_block *block)
{
    block->event[0] = '\0';
    block->data[0] = '\0';
    block->id[0] = '\0';
    block->data_size = 0;
    block->has_event = false;
    block->has_data = false;
    block->has_id = false;
    block->has_retry = false;
    block->is_comment = false;
    block->lines = 0;
}

void sse_reader_init(struct sse_reader *reader, bool chunked,
                     void (*on_block)(const struct sse_block *block, void *context), void *context)
{
    reader->chunked = chunked;
    reader->state = SSE_HEAD;
    reader->line_size = 0;
    reader->head_size = 0;
    reader->framing_size = 0;
    reader->chunk_left = 0;
    reader->error = NULL;
    reader->gzip = false;
    reader->gzip_ended = false;
    reader->on_block = on_block;
    reader->context = context;
    block_clear(&reader->block);
}

void sse_reader_release(struct sse_reader *reader)
{
    if (reader->gzip)
        (void)inflateEnd(&reader->inflate);
    reader->gzip = false;
}

static void fail(struct sse_reader *reader, const char *error)
{
    if (!reader->error)
        reader->error = error;
}

static bool take_field(const char *line, const char *name, const char **ret_value)
{
    size_t size = strlen(name);

    if (strncmp(line, name, size) != 0 || strncmp(line + size, ": ", 2) != 0)
        return false;
    *ret_value = line + size + 2;
    return true;
}

static void add_data(struct sse_reader *reader, const char *value)
{
    struct sse_block *block = &reader->block;
    size_t size = strlen(value);

    if (block->data_size + size + 2 > sizeof block->data) {
        fail(reader, "more data than fits");
        return;
    }
    if (block->has_data)
        block->data[block->data_size++] = '\n';
    memcpy(block->data + block->data_size, value, size + 1);
    block->data_size += size;
    block->has_data = true;
}

static void end_block(struct sse_reader *reader)
{
    struct sse_block *block = &reader->block;

    if (block->lines == 0)
        fail(reader, "an empty line that ends no block");
    if (block->is_comment && block->lines > 1)
        fail(reader, "a comment inside a block");
    if (block->has_event != block->has_data)
        fail(reader, "an event without data, or data without an event");
    if (!reader->error)
        reader->on_block(block, reader->context);
    block_clear(block);
}

static void take_line(struct sse_reader *reader, const char *line)
{
    struct sse_block *block = &reader->block;
    const char *value;

    if (!*line) {
        end_block(reader);
        return;
    }
    block->lines++;
    if (strcmp(line, ":heartbeat") == 0) {
        block->is_comment = true;
    } else if (take_field(line, "id", &value) && !block->has_id && strlen(value) < sizeof block->id) {
        strcpy(block->id, value);
        block->has_id = true;
    } else if (take_field(line, "event", &value) && !block->has_event && strlen(value) < sizeof block->event) {
        strcpy(block->event, value);
        block->has_event = true;
    } else if (take_field(line, "data", &value)) {
        add_data(reader, value);
    } else if (take_field(line, "retry", &value) && strspn(value, "0123456789") == strlen(value)) {
        block->has_retry = true;
    } else {
        fail(reader, "a line that is no field");
    }
}

static void take_text(struct sse_reader *reader, char c)
{
    if (c == '\r' || c == '\0') {
        fail(reader, "a byte that does not belong in the text");
        return;
    }
    if (c != '\n') {
        if (reader->line_size + 1 >= sizeof reader->line)
            fail(reader, "a line that is too long");
        else
            reader->line[reader->line_size++] = c;
        return;
    }
    reader->line[reader->line_size] = '\0';
    reader->line_size = 0;
    take_line(reader, reader->line);
}

/* A byte of a compressed response: whatever can be read now is read. */
static void take_compressed(struct sse_reader *reader, char c)
{
    int status = Z_OK;
    char text;

    if (reader->gzip_ended) {
        fail(reader, "bytes behind the end of what was compressed");
        return;
    }
    reader->inflate.next_in = (Bytef *)(void *)&c;
    reader->inflate.avail_in = 1;
    do {
        reader->inflate.next_out = (Bytef *)(void *)&text;
        reader->inflate.avail_out = 1;
        status = inflate(&reader->inflate, Z_SYNC_FLUSH);
        if (reader->inflate.avail_out == 0)
            take_text(reader, text);
    } while (status == Z_OK && reader->inflate.avail_out == 0 && !reader->error);
    reader->gzip_ended = status == Z_STREAM_END;
    if (status != Z_OK && status != Z_BUF_ERROR && status != Z_STREAM_END)
        fail(reader, reader->inflate.msg ? reader->inflate.msg : "what was compressed");
}

static void take_body(struct sse_reader *reader, char c)
{
    if (reader->gzip)
        take_compressed(reader, c);
    else
        take_text(reader, c);
}

static void begin_gzip(struct sse_reader *reader)
{
    memset(&reader->inflate, 0, sizeof reader->inflate);
    if (inflateInit2(&reader->inflate, 16 + 15) != Z_OK)
        abort();
    reader->gzip = true;
}

static void check_head(struct sse_reader *reader)
{
    const char *first = reader->chunked ? "HTTP/1.1 200 OK\r\n" : "HTTP/1.0 200 OK\r\n";
    bool says_chunked = strstr(reader->head, "\r\nTransfer-Encoding: chunked\r\n") != NULL;

    if (strncmp(reader->head, first, strlen(first)) != 0 || says_chunked != reader->chunked ||
        !strstr(reader->head, "\r\nContent-Type: text/event-stream\r\n"))
        fail(reader, "the response head");
    if (strstr(reader->head, "\r\nContent-Encoding: gzip\r\n"))
        begin_gzip(reader);
    reader->state = reader->chunked ? SSE_CHUNK_SIZE : SSE_BARE;
}

static void take_head(struct sse_reader *reader, char c)
{
    if (reader->head_size + 1 >= sizeof reader->head) {
        fail(reader, "a response head that is too long");
        return;
    }
    reader->head[reader->head_size++] = c;
    reader->head[reader->head_size] = '\0';
    if (reader->head_size >= 4 && memcmp(reader->head + reader->head_size - 4, "\r\n\r\n", 4) == 0)
        check_head(reader);
}

static bool take_framing(struct sse_reader *reader, char c)
{
    if (reader->framing_size + 1 >= sizeof reader->framing) {
        fail(reader, "chunk framing");
        return false;
    }
    reader->framing[reader->framing_size++] = c;
    reader->framing[reader->framing_size] = '\0';
    return reader->framing_size >= 2 && memcmp(reader->framing + reader->framing_size - 2, "\r\n", 2) == 0;
}

static void take_chunk_size(struct sse_reader *reader, char c)
{
    char *end;

    if (!take_framing(reader, c))
        return;
    reader->chunk_left = strtoul(reader->framing, &end, 16);
    if (end == reader->framing || strcmp(end, "\r\n") != 0)
        fail(reader, "a chunk's size");
    reader->framing_size = 0;
    reader->state = reader->chunk_left > 0 ? SSE_CHUNK_DATA : SSE_LAST_END;
}

static void take_chunk_end(struct sse_reader *reader, char c, enum sse_state next)
{
    if (!take_framing(reader, c)) {
        if (reader->framing_size >= 2)
            fail(reader, "a chunk's end");
        return;
    }
    reader->framing_size = 0;
    reader->state = next;
}

static void take_byte(struct sse_reader *reader, char c)
{
    switch (reader->state) {
    case SSE_HEAD:
        take_head(reader, c);
        break;
    case SSE_CHUNK_SIZE:
        take_chunk_size(reader, c);
        break;
    case SSE_CHUNK_DATA:
        take_body(reader, c);
        if (--reader->chunk_left > 0)
            break;
        reader->state = SSE_CHUNK_END;
        if (reader->line_size > 0 || reader->block.lines > 0)
            fail(reader, "a chunk that ends inside a block, or with text that cannot be read yet");
        break;
    case SSE_CHUNK_END:
        take_chunk_end(reader, c, SSE_CHUNK_SIZE);
        break;
    case SSE_LAST_END:
        take_chunk_end(reader, c, SSE_ENDED);
        if (reader->state == SSE_ENDED && reader->gzip && !reader->gzip_ended)
            fail(reader, "an end without that of what was compressed");
        break;
    case SSE_BARE:
        take_body(reader, c);
        break;
    case SSE_ENDED:
        fail(reader, "bytes behind the end");
        break;
    }
}

void sse_reader_feed(struct sse_reader *reader, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size && !reader->error; i++)
        take_byte(reader, bytes[i]);
}
