#include "auth/client_address.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

struct span {
    const char *text;
    size_t size;
};

/* The last entries of a header, in their order. */
struct hops {
    struct span spans[CLIENT_ADDRESS_MAX_HOPS];
    size_t seen; /* with those that left again */
};

enum { NODE_MAX_BYTES = 128 };

static struct span trimmed(struct span span)
{
    while (span.size > 0 && (*span.text == ' ' || *span.text == '\t')) {
        span.text++;
        span.size--;
    }
    while (span.size > 0 && (span.text[span.size - 1] == ' ' || span.text[span.size - 1] == '\t'))
        span.size--;
    return span;
}

/*
 * Cuts the part in front of the next divider that stands outside quotes off the rest, which is NULL behind the last part.
 * Returns -EINVAL when a quote has no end.
 */
static int next_part(struct span *rest, char divider, bool has_quotes, struct span *ret_part)
{
    bool quoted = false;
    size_t at = 0;

    for (; at < rest->size && (quoted || rest->text[at] != divider); at++) {
        if (has_quotes && rest->text[at] == '"')
            quoted = !quoted;
        else if (quoted && rest->text[at] == '\\')
            at++;
    }
    if (quoted || at > rest->size)
        return -EINVAL;
    *ret_part = trimmed((struct span){rest->text, at});
    if (at == rest->size)
        *rest = (struct span){NULL, 0};
    else
        *rest = (struct span){rest->text + at + 1, rest->size - at - 1};
    return 0;
}

/* Divides a header. Where a quote has no end, nobody can tell what stands within: no entry is left. */
static void split(const char *header, bool has_quotes, struct hops *ret_hops)
{
    struct span rest = {header, strlen(header)};
    struct span part;

    ret_hops->seen = 0;
    if (rest.size > CLIENT_ADDRESS_MAX_BYTES)
        return;
    while (rest.text) {
        if (next_part(&rest, ',', has_quotes, &part) < 0) {
            ret_hops->seen = 0;
            return;
        }
        ret_hops->spans[ret_hops->seen++ % CLIENT_ADDRESS_MAX_HOPS] = part;
    }
}

static bool is_port(const char *text, size_t size)
{
    long port = 0;

    if (size == 0 || size > 5)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        port = port * 10 + (text[i] - '0');
    }
    return port <= 65535;
}

/* `[2001:db8::1]` or `[2001:db8::1]:4711` */
static int parse_bracketed(struct span node, struct address *ret_address)
{
    const char *end = memchr(node.text, ']', node.size);
    struct span inner;
    struct span behind;

    if (!end)
        return -EINVAL;
    inner = (struct span){node.text + 1, (size_t)(end - node.text) - 1};
    behind = (struct span){end + 1, node.size - inner.size - 2};
    if (!memchr(inner.text, ':', inner.size))
        return -EINVAL;
    if (behind.size > 0 && (*behind.text != ':' || !is_port(behind.text + 1, behind.size - 1)))
        return -EINVAL;
    return address_parse(inner.text, inner.size, ret_address);
}

/* An address with or without a port. Names, also `unknown`, are none: -EINVAL. */
static int parse_node(struct span node, struct address *ret_address)
{
    const char *colon = memchr(node.text, ':', node.size);
    const char *last = memrchr(node.text, ':', node.size);

    if (node.size > 0 && *node.text == '[')
        return parse_bracketed(node, ret_address);
    if (colon && colon == last) {
        size_t size = (size_t)(colon - node.text);

        if (!is_port(colon + 1, node.size - size - 1))
            return -EINVAL;
        node.size = size;
    }
    return address_parse(node.text, node.size, ret_address);
}

/* The value without its quotes, in node, which has NODE_MAX_BYTES. */
static int unquote(struct span value, char *node, struct span *ret_node)
{
    size_t used = 0;

    if (value.size == 0 || *value.text != '"') {
        *ret_node = value;
        return memchr(value.text, '"', value.size) ? -EINVAL : 0;
    }
    for (size_t i = 1; i < value.size; i++) {
        if (value.text[i] == '"') {
            *ret_node = (struct span){node, used};
            return i + 1 == value.size ? 0 : -EINVAL;
        }
        if (value.text[i] == '\\')
            i++;
        if (i == value.size || used == NODE_MAX_BYTES)
            return -EINVAL;
        node[used++] = value.text[i];
    }
    return -EINVAL;
}

/* The `for` of an entry such as `for="[2001:db8::1]:4711";proto=https`, which must be there once. */
static int parse_forwarded(struct span entry, struct address *ret_address)
{
    char node[NODE_MAX_BYTES];
    struct span value = {NULL, 0};
    struct span pair;

    while (entry.text) {
        if (next_part(&entry, ';', true, &pair) < 0)
            return -EINVAL;
        if (pair.size < 4 || strncasecmp(pair.text, "for=", 4) != 0)
            continue;
        if (value.text)
            return -EINVAL;
        value = (struct span){pair.text + 4, pair.size - 4};
    }
    if (!value.text || unquote(value, node, &value) < 0)
        return -EINVAL;
    return parse_node(value, ret_address);
}

static struct address walk(const struct prefix_list *trusted, const struct address *peer, const char *header,
                           int (*parse)(struct span entry, struct address *ret_address))
{
    struct address current = *peer;
    struct hops hops;

    /* In X-Forwarded-For a quote means nothing: a client's must not swallow what the proxies wrote behind it. */
    split(header, parse == parse_forwarded, &hops);
    for (size_t i = 0; i < hops.seen && i < CLIENT_ADDRESS_MAX_HOPS; i++) {
        struct span entry = hops.spans[(hops.seen - 1 - i) % CLIENT_ADDRESS_MAX_HOPS];

        if (!prefix_list_contains(trusted, &current) || parse(entry, &current) < 0)
            break;
    }
    return current;
}

struct address client_address_find(const struct prefix_list *trusted, const struct address *peer,
                                   const struct client_address_headers *headers)
{
    const char *forwarded = headers->forwarded;
    const char *x_forwarded_for = headers->x_forwarded_for;
    struct address found = *peer;

    if (!prefix_list_contains(trusted, peer))
        return found;
    if (x_forwarded_for)
        found = walk(trusted, peer, x_forwarded_for, parse_node);
    if (forwarded) {
        struct address other = walk(trusted, peer, forwarded, parse_forwarded);

        if (x_forwarded_for && !address_equal(&found, &other))
            return *peer;
        found = other;
    }
    return found;
}
