#include "http_body.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEAD_MAX_BYTES 16384
#define CHUNK_MAX_BYTES (UINT64_C(1) << 30)

enum state { HEAD, BARE, CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_DATA, CHUNK_CR, CHUNK_LF, TRAILER, ENDED };

struct http_body {
    http_body_sink *sink;
    void *context;
    enum state state;
    int status;
    bool is_gzip;
    uint64_t chunk_left_bytes;
    unsigned size_digits;
    size_t trailer_line_bytes;
    char *head; /* held only while the head is incomplete */
    size_t head_bytes;
};

struct http_body *http_body_new(http_body_sink *sink, void *context)
{
    struct http_body *body = calloc(1, sizeof *body);

    if (!body)
        return NULL;
    body->sink = sink;
    body->context = context;
    return body;
}

void http_body_free(struct http_body *body)
{
    if (!body)
        return;
    free(body->head);
    free(body);
}

/* Whether the header is there, with that value. name: with a line end in front and a colon behind it. */
static bool head_has(const char *head, const char *name, const char *value)
{
    const char *line = strcasestr(head, name);

    if (!line)
        return false;
    line += strlen(name);
    line += strspn(line, " \t");
    return strncasecmp(line, value, strlen(value)) == 0 && line[strlen(value)] == '\r';
}

static int read_head(struct http_body *body)
{
    const char *head = body->head;

    if (strncmp(head, "HTTP/1.", 7) != 0 || strlen(head) < 12 || head[8] != ' ')
        return -EPROTO;
    body->status = (int)strtol(head + 9, NULL, 10);
    if (body->status < 100 || body->status > 999)
        return -EPROTO;
    body->state = head_has(head, "\r\ntransfer-encoding:", "chunked") ? CHUNK_SIZE : BARE;
    body->is_gzip = head_has(head, "\r\ncontent-encoding:", "gzip");
    free(body->head);
    body->head = NULL;
    return 0;
}

/* Takes bytes until the head's blank line. Gives how many it took, or -errno. */
static int take_head(struct http_body *body, const char *bytes, size_t size)
{
    size_t taken = 0;
    int error;

    if (!body->head)
        body->head = malloc(HEAD_MAX_BYTES + 1);
    if (!body->head)
        return -ENOMEM;
    while (taken < size) {
        if (body->head_bytes == HEAD_MAX_BYTES)
            return -EMSGSIZE;
        body->head[body->head_bytes++] = bytes[taken++];
        if (body->head_bytes < 4 || memcmp(body->head + body->head_bytes - 4, "\r\n\r\n", 4) != 0)
            continue;
        body->head[body->head_bytes] = '\0';
        error = read_head(body);
        return error ? error : (int)taken;
    }
    return (int)taken;
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

static int take_size_byte(struct http_body *body, char byte)
{
    int value = hex_value(byte);

    if (value >= 0) {
        body->chunk_left_bytes = body->chunk_left_bytes * 16 + (unsigned)value;
        body->size_digits++;
        return body->chunk_left_bytes > CHUNK_MAX_BYTES ? -EPROTO : 0;
    }
    if (body->size_digits == 0 || (byte != ';' && byte != '\r'))
        return -EPROTO;
    body->state = byte == '\r' ? CHUNK_LF : CHUNK_EXTENSION;
    return 0;
}

/* The line feed after a size starts the chunk (or the trailer); the one after the data starts the next size. */
static int take_line_feed(struct http_body *body, char byte)
{
    if (byte != '\n')
        return -EPROTO;
    if (body->size_digits == 0) {
        body->state = CHUNK_SIZE;
        return 0;
    }
    body->state = body->chunk_left_bytes ? CHUNK_DATA : TRAILER;
    body->size_digits = 0;
    return 0;
}

static int take_trailer_byte(struct http_body *body, char byte)
{
    if (byte == '\n') {
        if (body->trailer_line_bytes == 0)
            body->state = ENDED;
        body->trailer_line_bytes = 0;
    } else if (byte != '\r') {
        body->trailer_line_bytes++;
    }
    return 0;
}

static int take_framing_byte(struct http_body *body, char byte)
{
    switch (body->state) {
    case CHUNK_SIZE:
        return take_size_byte(body, byte);
    case CHUNK_EXTENSION:
        if (byte == '\r')
            body->state = CHUNK_LF;
        return 0;
    case CHUNK_CR:
        body->state = CHUNK_LF;
        return byte == '\r' ? 0 : -EPROTO;
    case CHUNK_LF:
        return take_line_feed(body, byte);
    case TRAILER:
        return take_trailer_byte(body, byte);
    default:
        return -EPROTO; /* bytes after the end */
    }
}

static int take_chunk_data(struct http_body *body, const char *bytes, size_t size)
{
    size_t part = size < body->chunk_left_bytes ? size : (size_t)body->chunk_left_bytes;
    int error = body->sink(body->context, bytes, part);

    if (error)
        return error;
    body->chunk_left_bytes -= part;
    if (body->chunk_left_bytes == 0)
        body->state = CHUNK_CR;
    return (int)part;
}

/* Takes at least one byte. Gives how many, or -errno. */
static int take_some(struct http_body *body, const char *bytes, size_t size)
{
    int error;

    switch (body->state) {
    case HEAD:
        return take_head(body, bytes, size);
    case BARE:
        error = body->sink(body->context, bytes, size);
        return error ? error : (int)size;
    case CHUNK_DATA:
        return take_chunk_data(body, bytes, size);
    default:
        error = take_framing_byte(body, *bytes);
        return error ? error : 1;
    }
}

int http_body_feed(struct http_body *body, const char *bytes, size_t size)
{
    while (size > 0) {
        int taken = take_some(body, bytes, size);

        if (taken < 0)
            return taken;
        bytes += taken;
        size -= (size_t)taken;
    }
    return 0;
}

int http_body_status(const struct http_body *body)
{
    return body->status;
}

bool http_body_is_gzip(const struct http_body *body)
{
    return body->is_gzip;
}
