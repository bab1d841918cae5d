#include "core/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

enum { MAPPED_BYTES = 12, LIMITED_BYTES = 8 };

static const unsigned char mapped[MAPPED_BYTES] = {[10] = 0xff, [11] = 0xff};

static struct address from_ipv4(const void *bytes)
{
    struct address address = {.family = AF_INET};

    memcpy(address.bytes, bytes, sizeof(struct in_addr));
    return address;
}

static struct address from_ipv6(const void *bytes)
{
    struct address address = {.family = AF_INET6};

    if (memcmp(bytes, mapped, sizeof mapped) == 0)
        return from_ipv4((const unsigned char *)bytes + sizeof mapped);
    memcpy(address.bytes, bytes, sizeof address.bytes);
    return address;
}

int address_parse(const char *text, size_t size, struct address *ret_address)
{
    char copy[INET6_ADDRSTRLEN + 1];
    unsigned char bytes[sizeof(struct in6_addr)];

    if (size == 0 || size >= sizeof copy || memchr(text, '\0', size))
        return -EINVAL;
    memcpy(copy, text, size);
    copy[size] = '\0';
    if (inet_pton(AF_INET, copy, bytes) == 1)
        *ret_address = from_ipv4(bytes);
    else if (inet_pton(AF_INET6, copy, bytes) == 1)
        *ret_address = from_ipv6(bytes);
    else
        return -EINVAL;
    return 0;
}

struct address address_from_sockaddr(const struct sockaddr *sockaddr)
{
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;

    /* Copied, since what comes as a struct sockaddr need not be aligned for the others. */
    if (sockaddr && sockaddr->sa_family == AF_INET) {
        memcpy(&ipv4, sockaddr, sizeof ipv4);
        return from_ipv4(&ipv4.sin_addr);
    }
    if (sockaddr && sockaddr->sa_family == AF_INET6) {
        memcpy(&ipv6, sockaddr, sizeof ipv6);
        return from_ipv6(&ipv6.sin6_addr);
    }
    return (struct address){.family = AF_UNSPEC};
}

void address_format(const struct address *address, char ret_text[ADDRESS_TEXT_SIZE])
{
    if (address->family == AF_UNSPEC || !inet_ntop(address->family, address->bytes, ret_text, ADDRESS_TEXT_SIZE))
        strcpy(ret_text, "unknown");
}

bool address_equal(const struct address *a, const struct address *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

struct address address_for_limits(const struct address *address)
{
    struct address limited = *address;

    if (limited.family == AF_INET6)
        memset(limited.bytes + LIMITED_BYTES, 0, sizeof limited.bytes - LIMITED_BYTES);
    return limited;
}
