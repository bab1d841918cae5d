#ifndef SLUICE_CMD_REPLAY_TIME_H
#define SLUICE_CMD_REPLAY_TIME_H

#include <stdint.h>

/*
 * Reads a time that lies back: RFC 3339 in UTC (2027-01-01T00:00:00Z), milliseconds since 1970, or a duration until now (90s,
 * 30m, 24h, 7d). Returns 0, or -EINVAL: none of these, or not between 1970 and now.
 */
int replay_time_parse(const char *text, int64_t now_ms, int64_t *ret_unix_ms);

#endif
