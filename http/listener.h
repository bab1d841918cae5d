#ifndef SLUICE_HTTP_LISTENER_H
#define SLUICE_HTTP_LISTENER_H

#include <stdint.h>

/*
 * A listening, non-blocking socket on address and port (0: a free one). With :: it takes IPv4 too. Returns the
 * descriptor and the port, or -errno.
 */
int listener_open(const char *address, int64_t port, int *ret_port);

#endif
