#ifndef SLUICE_CORE_PREFIX_H
#define SLUICE_CORE_PREFIX_H

#include "core/address.h"

/* Blocks of IP addresses, as settings name them: 10.0.0.0/8, 2001:db8::/32, or one address. Any thread. */
struct prefix {
    struct address address; /* the bits behind the prefix are 0 */
    unsigned bits;
};

/*
 * Reads one prefix; an address alone is the prefix of itself. Bits behind the prefix must be 0: 10.1.2.3/8 is more likely a
 * mistake than a wish, and who is trusted must be no guess. Returns 0 or -EINVAL.
 */
int prefix_parse(const char *text, size_t size, struct prefix *ret_prefix);

/* Whether the address lies in it. ::/0 has all IPv6 addresses and no IPv4 address. */
bool prefix_contains(const struct prefix *prefix, const struct address *address);

/* Some prefixes; never changed once made. */
struct prefix_list;

enum { PREFIX_LIST_MAX = 256 };

/* Reads a comma-separated list, which may be empty. Returns 0, -EINVAL (one is malformed, or too many) or -ENOMEM. */
int prefix_list_new(const char *text, struct prefix_list **ret_list);
void prefix_list_free(struct prefix_list *list);

/* Whether any of them has the address. */
bool prefix_list_contains(const struct prefix_list *list, const struct address *address);

#endif
