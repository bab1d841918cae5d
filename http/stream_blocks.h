#ifndef SLUICE_HTTP_STREAM_BLOCKS_H
#define SLUICE_HTTP_STREAM_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/gap.h"
#include "core/frame.h"
#include "core/gzip.h"

/*
 * The blocks that streams are sent besides events: docs/protocol.md. Each is a new control frame with one reference. They
 * carry no id, so that they never move a client's cursor; where the cursor is to move, a bare id block follows.
 *
 * Memory that runs out here ends the process: a client that is not told what it must be told would be lied to.
 */
struct frame *stream_block_heartbeat(void);
/* ticket: for a later stream; NULL: none. */
struct frame *stream_block_ready(const char *company, const char *connection_id, int64_t replayed, bool complete,
                                 const char *head_id, const char *ticket);

/* oldest: the first frame that follows the gap; NULL: none is held. */
struct frame *stream_block_gap(enum gap_reason reason, const char *requested, const struct frame *oldest,
                               int64_t missed);
struct frame *stream_block_store(bool restored);

/* The token will expire at that Unix time in milliseconds. */
struct frame *stream_block_expiring(int64_t expires_ms);

/*
 * The end of the stream too: the last chunk, where there are chunks. gzip: the sum of what was written to a compressed
 * stream, which ends with it; NULL: the stream is not compressed.
 */
struct frame *stream_block_closing(const char *reason, int64_t retry_ms, bool chunked, const struct gzip_sum *gzip);

/*
 * The response head in front of the first block, `retry:`. extra: further header lines, each ended by CR LF. ret_gzip: the
 * sum of what a compressed stream begins with; NULL: the stream is not compressed.
 */
struct frame *stream_block_head(bool chunked, const char *extra, int64_t retry_ms, struct gzip_sum *ret_gzip);

#endif
