#ifndef SLUICE_BRIDGE_SOURCE_OPTIONS_H
#define SLUICE_BRIDGE_SOURCE_OPTIONS_H

#include <nats/nats.h>

#include "bridge/source.h"

/*
 * Makes the library's options for one connection, but for the callbacks: servers, identity, TLS, times. Reads the files
 * that the identity names, so that each connection has their present content. On failure nats_GetLastError() says more. The
 * options are the caller's. Any thread.
 */
natsStatus source_options_make(const struct source_identity *identity, natsOptions **ret_options);

#endif
