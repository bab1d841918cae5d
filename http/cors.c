#include "http/cors.h"

#include <stdlib.h>
#include <string.h>

#include "core/config_value.h"

struct cors {
    bool all;
    bool credentials;
    char origins[];
};

struct cors *cors_new(const char *origins, bool credentials)
{
    size_t size = strlen(origins) + 1;
    struct cors *cors = calloc(1, sizeof *cors + size);
    const char *item;
    size_t item_size;

    if (!cors)
        return NULL;
    memcpy(cors->origins, origins, size);
    cors->credentials = credentials;
    while (config_list_next(&origins, &item, &item_size))
        if (item_size == 1 && *item == '*')
            cors->all = true;
    return cors;
}

void cors_free(struct cors *cors)
{
    free(cors);
}

/* Whether text is one or more labels of a host name: `a`, or `a.b`. Browsers send host names in lower case. */
static bool is_labels(const char *text, size_t size)
{
    if (size == 0 || size > 253 || text[0] == '.' || text[size - 1] == '.')
        return false;
    for (size_t i = 0; i < size; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-.", text[i]) || !text[i] ||
            (text[i] == '.' && text[i + 1] == '.'))
            return false;
    return true;
}

/* item: an origin, or one with `*.` in front of its host, which stands for one or more labels. */
static bool matches(const char *item, size_t size, const char *origin)
{
    const char *star = memchr(item, '*', size);
    size_t origin_size = strlen(origin);
    size_t before;
    size_t after;

    if (!star)
        return origin_size == size && memcmp(origin, item, size) == 0;
    before = (size_t)(star - item);
    after = size - before - 1;
    return origin_size > before + after && memcmp(origin, item, before) == 0 &&
           memcmp(origin + origin_size - after, star + 1, after) == 0 &&
           is_labels(origin + before, origin_size - before - after);
}

const char *cors_allowed_origin(const struct cors *cors, const char *origin)
{
    const char *cursor = cors->origins;
    const char *item;
    size_t size;

    if (cors->all)
        return "*";
    if (!origin)
        return NULL;
    while (config_list_next(&cursor, &item, &size))
        if (matches(item, size, origin))
            return origin;
    return NULL;
}

bool cors_varies(const struct cors *cors)
{
    return !cors->all;
}

bool cors_allows_credentials(const struct cors *cors)
{
    return cors->credentials && !cors->all;
}
