#include "auth/algorithm.h"

#include <string.h>

#include "core/config_value.h"

static const char *const names[ALGORITHM_COUNT] = {
    [ALGORITHM_HS256] = "HS256", [ALGORITHM_HS384] = "HS384", [ALGORITHM_HS512] = "HS512", [ALGORITHM_RS256] = "RS256",
    [ALGORITHM_RS384] = "RS384", [ALGORITHM_RS512] = "RS512", [ALGORITHM_PS256] = "PS256", [ALGORITHM_PS384] = "PS384",
    [ALGORITHM_PS512] = "PS512", [ALGORITHM_ES256] = "ES256", [ALGORITHM_ES384] = "ES384", [ALGORITHM_ES512] = "ES512",
    [ALGORITHM_EDDSA] = "EdDSA",
};

enum algorithm algorithm_find(const char *name, size_t size)
{
    int i = 0;

    while (i < ALGORITHM_COUNT && (strlen(names[i]) != size || memcmp(names[i], name, size) != 0))
        i++;
    return (enum algorithm)i;
}

const char *algorithm_name(enum algorithm algorithm)
{
    return names[algorithm];
}

algorithm_set algorithm_set_of(const char *list)
{
    algorithm_set set = 0;
    const char *item;
    size_t size;

    while (config_list_next(&list, &item, &size))
        set |= ALGORITHM_BIT(algorithm_find(item, size));
    return set & ALGORITHM_ALL;
}
