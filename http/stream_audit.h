#ifndef SLUICE_HTTP_STREAM_AUDIT_H
#define SLUICE_HTTP_STREAM_AUDIT_H

#include "http/stream.h"

/*
 * One line of log for each stream that opens and for each that ends: who, from where, how long and how much; never a
 * credential. Those that are refused have theirs in asker.h. Its worker's thread only.
 */
void stream_audit_opened(const struct stream_context *context, const struct stream *stream);
void stream_audit_closed(const struct stream_context *context, const struct stream *stream, enum stream_end end);

#endif
