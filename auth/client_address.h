#ifndef SLUICE_AUTH_CLIENT_ADDRESS_H
#define SLUICE_AUTH_CLIENT_ADDRESS_H

#include "core/address.h"
#include "core/prefix.h"

/*
 * Whose request this is, when proxies stand between: the nearest address that is no trusted proxy's.
 *
 * Each proxy adds the address that it was called from at the end of a header. So the walk goes from the peer to the left, as
 * long as the one at hand is trusted. An entry that is malformed, hidden (`unknown`, `_name`) or beyond the limits below ends
 * it: the last address that was read counts. What stands to the left of an untrusted address is anybody's invention, and never
 * looked at.
 *
 * A proxy maintains one of the two headers and passes the other one on as the client sent it, and which is which cannot
 * be seen. So when both are there they must lead to the same address; otherwise neither is believed, and the peer's counts:
 * preferring either would let clients invent their address behind proxies that write the other.
 */
enum { CLIENT_ADDRESS_MAX_HOPS = 32, CLIENT_ADDRESS_MAX_BYTES = 4096 };

/*
 * The headers' values, NULL where there is none. Of a header with several lines: all of them in their order, joined by commas
 * (the first line alone would be the client's). A longer value than CLIENT_ADDRESS_MAX_BYTES is not believed at all.
 */
struct client_address_headers {
    const char *forwarded;       /* Forwarded, RFC 7239 */
    const char *x_forwarded_for; /* X-Forwarded-For */
};

/* peer: of the socket. Any thread. */
struct address client_address_find(const struct prefix_list *trusted, const struct address *peer,
                                   const struct client_address_headers *headers);

#endif
