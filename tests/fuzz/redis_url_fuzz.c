#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_value.h"
#include "replay/redis_url.h"
#include "tests/fuzz/fuzz.h"

/* What is accepted has parts to connect with; what the check of the settings accepts is accepted here. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct redis_url url;
    int status = redis_url_parse(text, &url);

    MUST(status == 0 || status == -EINVAL);
    MUST(status == 0 || !*text || config_check_redis_url(text) != NULL);
    if (status == 0) {
        MUST(url.server_count > 0 && url.server_count <= REDIS_SERVERS_MAX);
        MUST(url.server_count == 1 || url.topology != REDIS_ALONE);
        MUST((*url.master != '\0') == (url.topology == REDIS_SENTINEL));
        for (size_t i = 0; i < url.server_count; i++) {
            const struct redis_endpoint *server = &url.servers[i];

            MUST(*server->host && strlen(server->host) < sizeof server->host);
            MUST(*server->port && strlen(server->port) < sizeof server->port);
            MUST(strspn(server->port, "0123456789") == strlen(server->port));
            MUST(!*server->path || url.topology == REDIS_ALONE);
        }
        MUST(url.database >= 0);
        redis_url_release(&url);
    }
    free(text);
    return 0;
}
