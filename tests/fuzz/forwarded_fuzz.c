#include <stdio.h>
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

static char *with_appended(const char *header, const char *entry)
{
    size_t size = strlen(header) + strlen(entry) + 1;
    char *text = malloc(size);

    MUST(text != NULL);
    snprintf(text, size, "%s%s", header, entry);
    return text;
}

/*
 * Whatever a client wrote: behind it our proxy writes whom it was called by, and that is who counts. Where an open quote of
 * the client's swallows that, nobody is believed but the proxy itself.
 */
static void check_invented(const char *header, const struct address *peer)
{
    char *list = with_appended(header, ", 203.0.113.9");
    char *forwarded = with_appended(header, ", for=203.0.113.9");
    struct client_address_headers one = {.x_forwarded_for = list};
    struct client_address_headers other = {.forwarded = forwarded};
    struct address caller;
    struct address found;

    MUST(address_parse("203.0.113.9", 11, &caller) == 0);
    found = find("10.0.0.0/8", peer, &one);
    MUST(address_equal(&found, strlen(list) <= CLIENT_ADDRESS_MAX_BYTES ? &caller : peer));
    found = find("10.0.0.0/8", peer, &other);
    MUST(address_equal(&found, &caller) || address_equal(&found, peer));
    MUST(address_equal(&found, &caller) || strchr(header, '"') || strlen(forwarded) > CLIENT_ADDRESS_MAX_BYTES);
    free(list);
    free(forwarded);
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
    check_invented(text, &peer);
    free(text);
    return 0;
}
