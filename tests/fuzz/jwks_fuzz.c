#include <stdlib.h>
#include <string.h>

#include "auth/key_set.h"
#include "tests/fuzz/fuzz.h"

static void check_key(const struct key *key)
{
    MUST(key->algorithms != 0);
    MUST((key->type == KEY_SECRET) == (key->public_key == NULL));
    MUST((key->type == KEY_SECRET) == ((key->algorithms & ALGORITHM_HMAC) != 0));
    for (int i = 0; i < ALGORITHM_HMAC_COUNT; i++)
        MUST((key->macs[i] != NULL) == ((key->algorithms & ALGORITHM_BIT(i)) != 0));
}

/* What is accepted holds usable keys only; what is refused says why. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct key_error error = {""};
    struct key_set *set = key_set_from_jwks((const char *)data, size, &error);

    if (!set) {
        MUST(*error.text && memchr(error.text, '\0', sizeof error.text));
        return 0;
    }
    MUST(key_set_count(set) > 0 && key_set_count(set) <= KEY_SET_MAX_KEYS);
    for (size_t i = 0; i < key_set_count(set); i++)
        check_key(key_set_at(set, i));
    key_set_unref(set);
    return 0;
}
