#ifndef SLUICE_HTTP_PROBE_H
#define SLUICE_HTTP_PROBE_H

#include <stdint.h>

/*
 * Asks a Sluice on that address and port whether it lives (/stream/health/live): the container's health check, which
 * needs no shell and no curl. Returns 0, or -errno (-EPROTO: it answered something else).
 */
int probe_live(const char *bind_address, int64_t port);

#endif
