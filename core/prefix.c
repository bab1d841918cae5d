#include "core/prefix.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_value.h"

enum { IPV4_BITS = 32, IPV6_BITS = 128, MAPPED_BITS = 96 };

struct prefix_list {
    size_t count;
    struct prefix prefixes[];
};

/* A number of bits: digits, none of them a leading zero. */
static int parse_bits(const char *text, size_t size, unsigned *ret_bits)
{
    unsigned bits = 0;

    if (size == 0 || size > 3 || (size > 1 && *text == '0'))
        return -EINVAL;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -EINVAL;
        bits = bits * 10 + (unsigned)(text[i] - '0');
    }
    *ret_bits = bits;
    return 0;
}

static unsigned char mask_of(unsigned bits)
{
    return (unsigned char)(0xff00U >> bits);
}

static bool ends_with_zeros(const struct prefix *prefix)
{
    unsigned char mask = mask_of(prefix->bits % 8);
    size_t whole = prefix->bits / 8;

    for (size_t i = whole; i < sizeof prefix->address.bytes; i++) {
        if (prefix->address.bytes[i] & (unsigned char)~mask)
            return false;
        mask = 0;
    }
    return true;
}

int prefix_parse(const char *text, size_t size, struct prefix *ret_prefix)
{
    const char *slash = memchr(text, '/', size);
    size_t address_size = slash ? (size_t)(slash - text) : size;
    struct prefix prefix;
    unsigned most;

    if (address_parse(text, address_size, &prefix.address) < 0)
        return -EINVAL;
    most = prefix.address.family == AF_INET ? IPV4_BITS : IPV6_BITS;
    prefix.bits = most;
    if (slash && parse_bits(slash + 1, size - address_size - 1, &prefix.bits) < 0)
        return -EINVAL;
    /* ::ffff:10.0.0.0/104 was written with the bits of IPv6. */
    if (slash && most == IPV4_BITS && memchr(text, ':', address_size)) {
        if (prefix.bits < MAPPED_BITS)
            return -EINVAL;
        prefix.bits -= MAPPED_BITS;
    }
    if (prefix.bits > most || !ends_with_zeros(&prefix))
        return -EINVAL;
    *ret_prefix = prefix;
    return 0;
}

bool prefix_contains(const struct prefix *prefix, const struct address *address)
{
    size_t whole = prefix->bits / 8;
    unsigned char mask = mask_of(prefix->bits % 8);

    if (address->family != prefix->address.family || memcmp(prefix->address.bytes, address->bytes, whole) != 0)
        return false;
    return mask == 0 || prefix->address.bytes[whole] == (address->bytes[whole] & mask);
}

int prefix_list_new(const char *text, struct prefix_list **ret_list)
{
    struct prefix_list *list = calloc(1, sizeof *list + PREFIX_LIST_MAX * sizeof list->prefixes[0]);
    const char *item;
    size_t size;

    if (!list)
        return -ENOMEM;
    while (config_list_next(&text, &item, &size)) {
        if (list->count == PREFIX_LIST_MAX || prefix_parse(item, size, &list->prefixes[list->count]) < 0) {
            free(list);
            return -EINVAL;
        }
        list->count++;
    }
    *ret_list = list;
    return 0;
}

void prefix_list_free(struct prefix_list *list)
{
    free(list);
}

bool prefix_list_contains(const struct prefix_list *list, const struct address *address)
{
    for (size_t i = 0; i < list->count; i++)
        if (prefix_contains(&list->prefixes[i], address))
            return true;
    return false;
}
