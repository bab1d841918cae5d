#ifndef SLUICE_CORE_CONFIG_IDENTITY_H
#define SLUICE_CORE_CONFIG_IDENTITY_H

#include "core/buffer.h"
#include "core/config.h"

/*
 * Checks what no single setting shows of our identity towards NATS and Redis: combinations that contradict each other, and
 * files that cannot be read. Appends one line to `errors` for each, without secrets.
 */
void config_identity_check(const struct config *config, struct buffer *errors);

#endif
