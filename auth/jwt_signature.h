#ifndef SLUICE_AUTH_JWT_SIGNATURE_H
#define SLUICE_AUTH_JWT_SIGNATURE_H

#include <stdbool.h>

#include "auth/jwt_text.h"
#include "auth/key_set.h"

/*
 * Whether the key made the signature. The caller has seen to it that the token's algorithm is among those of the key. False also
 * when memory runs out. Any thread.
 */
bool jwt_signature_is_good(const struct jwt_text *text, const struct key *key);

#endif
