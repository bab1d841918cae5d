#include <stdlib.h>
#include <string.h>

#include "core/config_value.h"
#include "http/cors.h"
#include "tests/fuzz/fuzz.h"

/* Whether the whole text is one or more characters of a browser's host names, neither of its ends a dot. */
static bool is_host_part(const char *text, size_t size)
{
    if (size == 0 || *text == '.' || text[size - 1] == '.')
        return false;
    for (size_t i = 0; i < size; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-.", text[i]))
            return false;
    return true;
}

/* What an item of the list means: the origin itself, or with `*.` in front of the host whatever stands below it. */
static bool is_meant(const char *item, size_t size, const char *origin)
{
    const char *star = memchr(item, '*', size);
    size_t before = star ? (size_t)(star - item) : size;
    size_t after = size - before - (star ? 1 : 0);
    size_t origin_size = strlen(origin);

    if (!star)
        return origin_size == size && strncmp(item, origin, size) == 0;
    if (strncmp(item, origin, before) != 0 || origin_size < before + after + 1)
        return false;
    if (strncmp(star + 1, origin + origin_size - after, after) != 0)
        return false;
    return is_host_part(origin + before, origin_size - before - after);
}

static void check_origin(const struct cors *cors, const char *list, const char *origin)
{
    const char *allowed = cors_allowed_origin(cors, origin);
    bool is_named = false;
    bool has_all = false;
    const char *item;
    size_t size;

    while (config_list_next(&list, &item, &size)) {
        has_all |= size == 1 && *item == '*';
        is_named |= is_meant(item, size, origin);
    }
    MUST(cors_varies(cors) == !has_all);
    if (has_all) {
        MUST(allowed && strcmp(allowed, "*") == 0);
        return;
    }
    /* It goes back in a header, as it came. */
    MUST(!allowed || (allowed == origin && is_named && !strpbrk(origin, "\r\n \t,\"<>\\")));
    MUST(allowed || !is_named || strstr(origin, "..") || strlen(origin) > 253);
}

/* The input: CORS_ORIGINS, the end of its line, and the Origin of a request. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *list = fuzz_text(data, size);
    char *origin = strchr(list, '\n');
    struct cors *cors;

    if (origin) {
        *origin++ = '\0';
        if (!config_check_origins(list)) {
            cors = cors_new(list, false);
            MUST(cors != NULL);
            check_origin(cors, list, origin);
            cors_free(cors);
        }
    }
    free(list);
    return 0;
}
