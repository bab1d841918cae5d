#include <errno.h>
#include <string.h>

#include "auth/api_key_set.h"
#include "tests/fuzz/fuzz.h"

/* A file is a set of keys that can be looked up, or every line of the complaint says where. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer errors = buffer_make(65536);
    struct api_key_set *set = NULL;
    int status = api_key_set_from_text((const char *)data, size, &errors, &set);

    MUST(status == 0 || status == -EINVAL);
    if (status == 0) {
        MUST(errors.size == 0);
        MUST(api_key_set_count(set) <= size);
        (void)api_key_set_find(set, (const char *)data, size);
        MUST(api_key_set_find_id(set, "") == NULL);
    } else {
        MUST(errors.failed || (errors.size > 5 && memcmp(errors.data, "line ", 5) == 0));
        MUST(set == NULL);
    }
    api_key_set_unref(set);
    buffer_release(&errors);
    return 0;
}
