#include "auth/jwt.h"

#include <errno.h>
#include <string.h>

#include "auth/jwt_claims.h"
#include "auth/jwt_signature.h"
#include "auth/jwt_text.h"

/* Keys that a token which names none is tried with: each costs a verification. */
enum { MAX_TRIES = 4 };

static bool is_named(const struct jwt_text *text, const struct key_set *keys, const struct key *key)
{
    if (!text->has_kid || !key_set_has_kids(keys))
        return true;
    return key->kid && strcmp(key->kid, text->kid) == 0;
}

/* Tries the keys that the token may be signed with. */
static enum jwt_reason try_keys(const struct jwt_text *text, const struct key_set *keys)
{
    size_t named = 0;
    int tries = 0;

    for (size_t i = 0; i < key_set_count(keys) && tries < MAX_TRIES; i++) {
        const struct key *key = key_set_at(keys, i);

        if (!is_named(text, keys, key))
            continue;
        named++;
        /* What decides is what the key is for, never what the token says of itself. */
        if (!(key->algorithms & ALGORITHM_BIT(text->algorithm)))
            continue;
        tries++;
        if (jwt_signature_is_good(text, key))
            return JWT_OK;
    }
    if (tries > 0)
        return JWT_SIGNATURE;
    return named > 0 ? JWT_ALGORITHM : JWT_UNKNOWN_KEY;
}

static enum jwt_reason verify_text(const struct jwt_rules *rules, const struct key_set *keys,
                                   const struct jwt_text *text)
{
    if (rules->algorithms != 0 && !(rules->algorithms & ALGORITHM_BIT(text->algorithm)))
        return JWT_ALGORITHM;
    return keys ? try_keys(text, keys) : JWT_UNKNOWN_KEY;
}

static enum jwt_reason reason_of(int status)
{
    switch (status) {
    case -ENOMEM:
        return JWT_NO_MEMORY;
    case -ENOTSUP:
        return JWT_ALGORITHM;
    default:
        return JWT_MALFORMED;
    }
}

enum jwt_reason jwt_verify(const struct jwt_rules *rules, const struct key_set *keys, const char *token, size_t size,
                           int64_t now_s, struct jwt_claims **ret_claims)
{
    struct jwt_text text;
    enum jwt_reason reason;
    int status = jwt_text_parse(token, size, &text);

    if (status < 0)
        return reason_of(status);
    reason = verify_text(rules, keys, &text);
    if (reason == JWT_OK)
        reason = jwt_claims_read(rules, text.payload, text.payload_size, now_s, ret_claims);
    jwt_text_release(&text);
    return reason;
}

static const struct {
    const char *name;
    const char *message;
} reasons[JWT_REASON_COUNT] = {
    [JWT_OK] = {"ok", "The token is valid"},
    [JWT_MALFORMED] = {"malformed", "The token is malformed: expected a signed JWT of at most 8192 bytes"},
    [JWT_ALGORITHM] = {"algorithm", "The token's signature algorithm is not accepted"},
    [JWT_UNKNOWN_KEY] = {"unknown_key", "The token is signed with a key that is not known"},
    [JWT_SIGNATURE] = {"signature", "The token's signature is not valid"},
    [JWT_EXPIRED] = {"expired", "The token has expired: get a new one"},
    [JWT_NOT_YET_VALID] = {"not_yet_valid", "The token is not valid yet"},
    [JWT_ISSUER] = {"issuer", "The token is from another issuer"},
    [JWT_AUDIENCE] = {"audience", "The token is for another audience"},
    [JWT_CLAIMS] = {"claims", "The token lacks a claim that is needed, or one of its claims is malformed"},
    [JWT_NO_MEMORY] = {"no_memory", "The server is short of memory: try again later"},
};

const char *jwt_reason_message(enum jwt_reason reason)
{
    return reasons[reason].message;
}

const char *jwt_reason_name(enum jwt_reason reason)
{
    return reasons[reason].name;
}
