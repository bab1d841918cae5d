#ifndef SLUICE_REPLAY_REDIS_MEMBER_H
#define SLUICE_REPLAY_REDIS_MEMBER_H

#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/frame.h"

/*
 * A frame as a member of a company's sorted set: `<16-digit seq>|<subject>|<event>|<payload>`; the score is its ms. Equal
 * scores sort by member, so the padded seq keeps the order inside one millisecond. A hole has its ms behind the event's name and
 * a space: several may follow the same event, and a set has a member once.
 */
enum { REDIS_MEMBER_SEQ_DIGITS = 16 };

void redis_member_write(const struct frame *frame, struct buffer *member);

/* A new frame, with one reference; NULL: not a member as we write them, or no memory. */
struct frame *redis_member_read(const char *member, size_t size, uint64_t ms);

#endif
