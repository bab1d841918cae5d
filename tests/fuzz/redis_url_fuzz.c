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
        MUST(*url.host && strlen(url.host) < sizeof url.host);
        MUST(*url.port && strlen(url.port) < sizeof url.port);
        MUST(strspn(url.port, "0123456789") == strlen(url.port));
        MUST(url.database >= 0);
        redis_url_release(&url);
    }
    free(text);
    return 0;
}
