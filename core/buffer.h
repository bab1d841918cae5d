#ifndef SLUICE_CORE_BUFFER_H
#define SLUICE_CORE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A growable run of bytes with a maximum from birth. A write that does not fit (or finds no memory) sets `failed` and
 * changes nothing else; the caller looks once, at the end. One owner.
 */
struct buffer {
    char *data;
    size_t size;
    size_t capacity;
    size_t max_bytes;
    bool failed;
};

/* An empty buffer that will hold at most max_bytes. Allocates nothing yet. */
struct buffer buffer_make(size_t max_bytes);

/* Frees the bytes; the buffer can be used again, empty. */
void buffer_release(struct buffer *buffer);

/* Empties the buffer and clears `failed`, keeping the memory. */
void buffer_clear(struct buffer *buffer);

void buffer_append(struct buffer *buffer, const void *bytes, size_t size);
void buffer_append_text(struct buffer *buffer, const char *text);
void buffer_printf(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
