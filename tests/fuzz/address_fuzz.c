#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_value.h"
#include "core/prefix.h"
#include "tests/fuzz/fuzz.h"

static void check_address(const struct address *address)
{
    char text[ADDRESS_TEXT_SIZE];
    struct address limited = address_for_limits(address);
    struct address twice = address_for_limits(&limited);
    struct address again;

    MUST(address->family == AF_INET || address->family == AF_INET6);
    address_format(address, text);
    MUST(address_parse(text, strlen(text), &again) == 0 && address_equal(address, &again));
    MUST(config_check_address(text) == NULL);
    MUST(address_equal(&limited, &twice));
}

static void check_prefix(const struct prefix *prefix)
{
    char address[ADDRESS_TEXT_SIZE];
    char text[ADDRESS_TEXT_SIZE + 8];
    struct prefix_list *list = NULL;
    struct prefix again;
    struct address other = prefix->address;

    address_format(&prefix->address, address);
    snprintf(text, sizeof text, "%s/%u", address, prefix->bits);
    MUST(prefix_parse(text, strlen(text), &again) == 0);
    MUST(again.bits == prefix->bits && address_equal(&again.address, &prefix->address));
    MUST(config_check_prefixes(text) == NULL && prefix_list_new(text, &list) == 0);
    MUST(prefix_list_contains(list, &prefix->address));
    /* The last bit in front of the end of the prefix decides, the first one behind it does not. */
    if (prefix->bits > 0) {
        other.bytes[(prefix->bits - 1) / 8] ^= (unsigned char)(0x80U >> ((prefix->bits - 1) % 8));
        MUST(!prefix_contains(prefix, &other));
        other = prefix->address;
    }
    if (prefix->bits < (other.family == AF_INET ? 32 : 128)) {
        other.bytes[prefix->bits / 8] ^= (unsigned char)(0x80U >> (prefix->bits % 8));
        MUST(prefix_contains(prefix, &other));
    }
    prefix_list_free(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct prefix_list *list = NULL;
    struct address address;
    struct prefix prefix;
    int status;

    if (address_parse(text, size, &address) == 0) {
        check_address(&address);
        MUST(prefix_parse(text, size, &prefix) == 0 && address_equal(&prefix.address, &address));
    }
    if (prefix_parse(text, size, &prefix) == 0)
        check_prefix(&prefix);
    status = prefix_list_new(text, &list);
    MUST(status == 0 || status == -EINVAL);
    MUST((status == 0) == (config_check_prefixes(text) == NULL));
    prefix_list_free(list);
    free(text);
    return 0;
}
