/* Decodes a gzip stream as it arrives, in pieces of any size: whatever can be read is handed on at once. */
#ifndef BENCH_INFLATER_H
#define BENCH_INFLATER_H

#include <stddef.h>

#include "http_body.h"

struct inflater;

/* Gives NULL without memory. The caller frees it. */
struct inflater *inflater_new(http_body_sink *sink, void *context);
void inflater_free(struct inflater *inflater);

/*
 * Gives 0; -EPROTO where the bytes are no gzip stream, its checksum is wrong, or something follows its end; or what the
 * sink gave.
 */
int inflater_feed(struct inflater *inflater, const char *bytes, size_t size);

#endif
