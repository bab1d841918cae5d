#ifndef SLUICE_CORE_ADDRESS_H
#define SLUICE_CORE_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * An IP address, in one form for each host: an IPv4 address that comes mapped into IPv6 (::ffff:192.0.2.1, what a socket
 * bound to :: reports) is that IPv4 address. A plain value. Any thread.
 */
struct address {
    sa_family_t family; /* AF_INET, AF_INET6, or AF_UNSPEC: none */
    unsigned char bytes[16];
};

enum { ADDRESS_TEXT_SIZE = INET6_ADDRSTRLEN };

/* Reads an IPv4 or IPv6 address without brackets, port or zone. Returns 0 or -EINVAL. */
int address_parse(const char *text, size_t size, struct address *ret_address);

/* The address of a socket's peer; of the family AF_UNSPEC when it has none (NULL, or a socket of another kind). */
struct address address_from_sockaddr(const struct sockaddr *sockaddr);

/* For logs. "unknown" for none. */
void address_format(const struct address *address, char ret_text[ADDRESS_TEXT_SIZE]);

bool address_equal(const struct address *a, const struct address *b);

/*
 * What limits count by: an IPv4 address as a whole, of an IPv6 address the first 64 bits, since whoever has one address there
 * has as many as they like.
 */
struct address address_for_limits(const struct address *address);

#endif
