#ifndef SLUICE_AUTH_TICKET_H
#define SLUICE_AUTH_TICKET_H

#include <stddef.h>

#include "auth/identity.h"
#include "core/address.h"
#include "core/buffer.h"

/*
 * Tickets: 32 random bytes that stand for an identity for a short while, because EventSource can send no headers. What is
 * kept is the SHA-256 of a ticket, never the ticket; under it the identity as JSON. Any thread.
 */
enum {
    TICKET_TEXT_SIZE = 4 + 43 + 1, /* slt_, 32 bytes in base64url, NUL */
    TICKET_HASH_SIZE = 64 + 1,     /* hex, NUL */
    TICKET_VALUE_MAX_BYTES = 4096,
};

/* Makes a new one from the kernel's random numbers. Returns 0 or -errno. The text is a secret. */
int ticket_generate(char ret_ticket[TICKET_TEXT_SIZE]);

/* The hash of a ticket as somebody presents it. Returns 0; -EINVAL when it cannot be one; or -ENOMEM. */
int ticket_hash(const char *ticket, size_t size, char ret_hash[TICKET_HASH_SIZE]);

/* A hash of what tells one client from another: its address and User-Agent (NULL: none). Returns 0 or -ENOMEM. */
int ticket_fingerprint(const struct address *address, const char *user_agent, char ret_hash[TICKET_HASH_SIZE]);

/* Appends the identity. */
void ticket_write(const struct identity *identity, struct buffer *value);

/* Reads it again. Returns 0 and an identity, whose reference is the caller's; -EINVAL: it is none of ours; or -ENOMEM. */
int ticket_read(const char *value, size_t size, struct identity **ret_identity);

#endif
