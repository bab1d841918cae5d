#ifndef SLUICE_BRIDGE_RESUME_H
#define SLUICE_BRIDGE_RESUME_H

#include <stdint.h>

#include "bridge/company.h"
#include "bridge/gap.h"
#include "bridge/hub.h"
#include "replay/store.h"

/*
 * What a stream must be told that asks for history: whether the store has all that is behind its own id, or since its
 * time, which the recent frames do not reach back to. stored: the first page behind it. ttl_ms: the store's retention.
 * Gives why something is missing, or GAP_NONE, and how many events, where that can be known. The bridge's thread.
 */
enum gap_reason resume_judge(const struct company *company, const struct hub_read *read,
                             const struct store_page *stored, int64_t ttl_ms, int64_t *ret_missed);

#endif
