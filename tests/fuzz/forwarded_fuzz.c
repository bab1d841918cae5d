#include <stdlib.h>
#include <string.h>

#include "auth/client_address.h"
#include "tests/fuzz/fuzz.h"

static struct address find(const char *trusted_text, const struct address *peer,
                           const struct client_address_headers *headers)
{
    struct prefix_list *trusted = NULL;
    struct address found;

    MUST(prefix_list_new(trusted_text, &trusted) == 0);
    found = client_address_find(trusted, peer, headers);
    prefix_list_free(trusted);
    return found;
}

/* A line is a header; when there are two, the first is Forwarded. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    char *second = strchr(text, '\n');
    struct client_address_headers both = {.forwarded = text, .x_forwarded_for = second ? second + 1 : NULL};
    struct client_address_headers one = {.forwarded = NULL, .x_forwarded_for = text};
    struct address peer;
    struct address found;

    if (second)
        *second = '\0';
    MUST(address_parse("10.0.0.1", 8, &peer) == 0);
    found = find("10.0.0.0/8,::/0", &peer, &both);
    MUST(found.family == AF_INET || found.family == AF_INET6);
    found = find("10.0.0.0/8,::/0", &peer, &one);
    MUST(found.family == AF_INET || found.family == AF_INET6);
    found = find("192.0.2.0/24", &peer, &both);
    MUST(address_equal(&found, &peer));
    free(text);
    return 0;
}
