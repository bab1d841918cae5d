#include "replay/redis_access.h"

#include "core/config.h"

struct redis_access redis_access_of(const struct config *config)
{
    return (struct redis_access){.url = config->redis_url,
                                 .password = config->redis_password,
                                 .password_file = config->redis_password_file,
                                 .sentinel_password = config->redis_sentinel_password,
                                 .sentinel_password_file = config->redis_sentinel_password_file,
                                 .tls = {.ca_file = config->redis_tls_ca_file,
                                         .cert_file = config->redis_tls_cert_file,
                                         .key_file = config->redis_tls_key_file},
                                 .timeout_ms = (int)config->redis_timeout_ms};
}
