#ifndef SLUICE_CMD_REPLAY_H
#define SLUICE_CMD_REPLAY_H

#include <stdint.h>

#include "core/config.h"
#include "core/log.h"

/*
 * `sluice replay --from 24h`: reads the stream from that time on, and appends to the replay store what it lacks. It holds the
 * intake meanwhile, so no other Sluice may.
 */

/*
 * Takes `--from` out of what stands behind `replay`, which leaves the settings. Returns 0 or, with a message on stderr, the
 * exit status.
 */
int replay_take_arguments(int *argc, char **argv, int64_t *ret_from_ms);

/* Returns the exit status: 0; 1 when something is not to be had, with a message on stderr; 2 for settings that do not fit. */
int replay_run(const struct config *config, int64_t from_ms, struct log *log);

#endif
