#ifndef SLUICE_CORE_CONFIG_AUTH_H
#define SLUICE_CORE_CONFIG_AUTH_H

#include "core/buffer.h"
#include "core/config.h"

/* The settings of authentication. Each check returns NULL, or what was expected (config_value.h). Any thread. */
const char *config_check_auth_mode(const char *value);
const char *config_check_admin_key(const char *value);
const char *config_check_cookie(const char *value);
const char *config_check_secret(const char *value);
const char *config_check_algorithms(const char *value);
const char *config_check_claim(const char *value);

/* What no single one of them shows: appends what is wrong with them together. */
void config_auth_check(const struct config *config, struct buffer *errors);

#endif
