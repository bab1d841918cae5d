#ifndef SLUICE_AUTH_REVOCATION_MESSAGE_H
#define SLUICE_AUTH_REVOCATION_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "replay/shared.h"

/*
 * What back ends publish to take somebody's access away: one JSON object of a subject and a time,
 *   {"companyId":"acme","until":1767225600000}   {"userId":"u1"}   {"companyId":"acme","userId":"u1"}
 *   {"keyId":"k_1"}   {"tokenId":"<jti>"}
 * Read strictly: what is mistyped must not revoke somebody else, or for another time, than was meant. Any thread.
 */
enum {
    REVOCATION_MESSAGE_MAX_BYTES = 4096,
    REVOCATION_NAME_MAX_BYTES = 128,                           /* of each id */
    REVOCATION_VALUE_SIZE = 2 * REVOCATION_NAME_MAX_BYTES + 2, /* <company>|<user>, NUL */
};

#define REVOCATION_DEFAULT_MS (INT64_C(24) * 60 * 60 * 1000)
#define REVOCATION_MAX_MS (INT64_C(366) * 24 * 60 * 60 * 1000)

struct revocation_message {
    enum shared_subject subject;
    char value[REVOCATION_VALUE_SIZE]; /* as struct shared_revocation has it */
    int64_t until_ms;                  /* Unix time; without `until`, REVOCATION_DEFAULT_MS from now */
};

/*
 * Reads one message. text needs no NUL at its end. Returns 0 and the message; -EINVAL and what is wrong (constant text, which
 * repeats nothing of the message); or -ENOMEM.
 */
int revocation_message_parse(const char *text, size_t size, int64_t now_ms, struct revocation_message *ret_message,
                             const char **ret_problem);

#endif
