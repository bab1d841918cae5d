#include "http/cors.h"

#include <stdlib.h>
#include <string.h>

#include "core/config_value.h"

struct cors {
    bool all;
    char origins[];
};

struct cors *cors_new(const char *origins)
{
    size_t size = strlen(origins) + 1;
    struct cors *cors = calloc(1, sizeof *cors + size);
    const char *item;
    size_t item_size;

    if (!cors)
        return NULL;
    memcpy(cors->origins, origins, size);
    while (config_list_next(&origins, &item, &item_size))
        if (item_size == 1 && *item == '*')
            cors->all = true;
    return cors;
}

void cors_free(struct cors *cors)
{
    free(cors);
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
        if (strlen(origin) == size && memcmp(origin, item, size) == 0)
            return origin;
    return NULL;
}

bool cors_varies(const struct cors *cors)
{
    return !cors->all;
}
