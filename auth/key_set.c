#include "auth/key_set.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/key_set_build.h"

struct key_set {
    atomic_uint references;
    unsigned char identity[KEY_SET_IDENTITY_SIZE];
    struct key keys[KEY_SET_MAX_KEYS];
    size_t count;
    bool has_kids;
};

int key_error_set(struct key_error *ret_error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(ret_error->text, sizeof ret_error->text, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

static int out_of_memory(struct key_error *ret_error)
{
    key_error_set(ret_error, "out of memory");
    return -ENOMEM;
}

/* The hash tells nothing of a secret that is long enough to be one, and it stays within the process. */
static bool make_identity(const char *maker, const char *text, size_t size, unsigned char *ret_identity)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool made = digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(digest, maker, strlen(maker) + 1) == 1 && EVP_DigestUpdate(digest, text, size) == 1 &&
                EVP_DigestFinal_ex(digest, ret_identity, NULL) == 1;

    EVP_MD_CTX_free(digest);
    return made;
}

struct key_set *key_set_begin(const char *maker, const char *text, size_t size, struct key_error *ret_error)
{
    struct key_set *set = calloc(1, sizeof *set);

    if (!set || !make_identity(maker, text, size, set->identity)) {
        free(set);
        out_of_memory(ret_error);
        return NULL;
    }
    atomic_init(&set->references, 1);
    return set;
}

static int check_kid(const struct key_set *set, const char *kid, struct key_error *ret_error)
{
    for (size_t i = 0; kid && i < set->count; i++)
        if (set->keys[i].kid && strcmp(set->keys[i].kid, kid) == 0)
            return key_error_set(ret_error, "two keys have the kid \"%.64s\"; give each key a kid of its own", kid);
    return 0;
}

static void release_key(struct key *key)
{
    free(key->kid);
    EVP_PKEY_free(key->public_key);
    for (int i = 0; i < ALGORITHM_HMAC_COUNT; i++)
        EVP_MAC_CTX_free(key->macs[i]);
}

/* Takes over what the key holds, also upon failure. */
static int add(struct key_set *set, struct key key, const char *kid, struct key_error *ret_error)
{
    int status = check_kid(set, kid, ret_error);

    if (status == 0 && set->count == KEY_SET_MAX_KEYS)
        status = key_error_set(ret_error, "more than %d keys; remove those that no token is signed with any more",
                               KEY_SET_MAX_KEYS);
    if (status == 0 && kid) {
        key.kid = strdup(kid);
        if (!key.kid)
            status = out_of_memory(ret_error);
    }
    if (status < 0) {
        release_key(&key);
        return status;
    }
    set->has_kids = set->has_kids || kid;
    set->keys[set->count++] = key;
    return 0;
}

static int describe_rsa(const EVP_PKEY *public_key, struct key *key, struct key_error *ret_error)
{
    int bits = EVP_PKEY_get_bits(public_key);

    if (bits < KEY_MIN_RSA_BITS)
        return key_error_set(ret_error, "an RSA key of %d bits is too weak; use one of at least %d bits", bits,
                             KEY_MIN_RSA_BITS);
    /* Beyond that a single verification takes long enough to be a way to keep the process busy. */
    if (bits > KEY_MAX_RSA_BITS)
        return key_error_set(ret_error, "an RSA key of %d bits is too large; use one of at most %d bits", bits,
                             KEY_MAX_RSA_BITS);
    key->type = KEY_RSA;
    key->algorithms = ALGORITHM_RSA;
    return 0;
}

static int describe_ec(EVP_PKEY *public_key, struct key *key, struct key_error *ret_error)
{
    static const struct {
        const char *group;
        enum key_type type;
        enum algorithm algorithm;
    } curves[] = {{"prime256v1", KEY_EC_P256, ALGORITHM_ES256},
                  {"secp384r1", KEY_EC_P384, ALGORITHM_ES384},
                  {"secp521r1", KEY_EC_P521, ALGORITHM_ES512}};
    char group[64] = "";

    EVP_PKEY_get_group_name(public_key, group, sizeof group, NULL);
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++) {
        if (strcmp(curves[i].group, group) != 0)
            continue;
        key->type = curves[i].type;
        key->algorithms = ALGORITHM_BIT(curves[i].algorithm);
        return 0;
    }
    return key_error_set(ret_error, "an EC key on the curve \"%s\"; use P-256, P-384 or P-521",
                         *group ? group : "(without a name)");
}

static int describe(EVP_PKEY *public_key, struct key *key, struct key_error *ret_error)
{
    switch (EVP_PKEY_get_base_id(public_key)) {
    case EVP_PKEY_RSA:
        return describe_rsa(public_key, key, ret_error);
    case EVP_PKEY_EC:
        return describe_ec(public_key, key, ret_error);
    case EVP_PKEY_ED25519:
        key->type = KEY_ED25519;
        key->algorithms = ALGORITHM_BIT(ALGORITHM_EDDSA);
        return 0;
    default:
        return key_error_set(ret_error, "a key of another kind; use RSA, EC (P-256, P-384, P-521) or Ed25519");
    }
}

static int restrict_algorithms(struct key *key, algorithm_set allowed, struct key_error *ret_error)
{
    key->algorithms &= allowed;
    if (key->algorithms == 0)
        return key_error_set(ret_error, "a key's alg does not fit its kind or its curve; correct or remove its alg");
    return 0;
}

int key_set_add_public(struct key_set *set, EVP_PKEY *public_key, const char *kid, algorithm_set allowed,
                       struct key_error *ret_error)
{
    struct key key = {.public_key = public_key};
    int status = describe(public_key, &key, ret_error);

    if (status == 0)
        status = restrict_algorithms(&key, allowed, ret_error);
    if (status < 0) {
        EVP_PKEY_free(public_key);
        return status;
    }
    return add(set, key, kid, ret_error);
}

/* NULL: no memory. */
static EVP_MAC_CTX *make_mac(EVP_MAC *hmac, char *digest, const unsigned char *secret, size_t size)
{
    OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_END};
    EVP_MAC_CTX *mac = EVP_MAC_CTX_new(hmac);

    if (mac && EVP_MAC_init(mac, secret, size, parameters) == 1)
        return mac;
    EVP_MAC_CTX_free(mac);
    return NULL;
}

static int make_macs(struct key *key, const unsigned char *secret, size_t size, struct key_error *ret_error)
{
    char digests[ALGORITHM_HMAC_COUNT][8] = {
        [ALGORITHM_HS256] = "SHA256", [ALGORITHM_HS384] = "SHA384", [ALGORITHM_HS512] = "SHA512"};
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    int status = hmac ? 0 : out_of_memory(ret_error);

    for (int i = 0; i < ALGORITHM_HMAC_COUNT && status == 0; i++) {
        if (!(key->algorithms & ALGORITHM_BIT(i)))
            continue;
        key->macs[i] = make_mac(hmac, digests[i], secret, size);
        if (!key->macs[i])
            status = out_of_memory(ret_error);
    }
    EVP_MAC_free(hmac);
    return status;
}

int key_set_add_secret(struct key_set *set, const unsigned char *secret, size_t size, const char *kid,
                       algorithm_set allowed, struct key_error *ret_error)
{
    struct key key = {.type = KEY_SECRET, .algorithms = ALGORITHM_HMAC};
    int status;

    /* A shorter one can be found by trying, from a single token: RFC 7518 §3.2 asks for the size of the hash. */
    if (size < KEY_MIN_SECRET_BYTES)
        return key_error_set(ret_error,
                             "a secret of %zu bytes can be guessed; use at least %d random bytes, such as the output "
                             "of: openssl rand -base64 48",
                             size, KEY_MIN_SECRET_BYTES);
    status = restrict_algorithms(&key, allowed, ret_error);
    if (status == 0)
        status = make_macs(&key, secret, size, ret_error);
    if (status < 0) {
        release_key(&key);
        return status;
    }
    return add(set, key, kid, ret_error);
}

struct key_set *key_set_from_secret(const char *secret, size_t size, struct key_error *ret_error)
{
    struct key_set *set;

    /* Whoever has the public key could sign tokens with it. */
    if (memmem(secret, size, "-----BEGIN ", 11)) {
        key_error_set(ret_error, "the secret is a PEM text; give a public key by JWT_PUBLIC_KEY_FILE instead");
        return NULL;
    }
    if (size > KEY_SET_MAX_BYTES) {
        key_error_set(ret_error, "the secret is larger than %d bytes; is it the right file?", KEY_SET_MAX_BYTES);
        return NULL;
    }
    set = key_set_begin("secret", secret, size, ret_error);
    if (!set)
        return NULL;
    if (key_set_add_secret(set, (const unsigned char *)secret, size, NULL, ALGORITHM_ALL, ret_error) == 0)
        return set;
    key_set_unref(set);
    return NULL;
}

struct key_set *key_set_ref(struct key_set *set)
{
    /* Relaxed: whoever takes a reference has one already, or a lock that orders it. */
    if (set)
        atomic_fetch_add_explicit(&set->references, 1, memory_order_relaxed);
    return set;
}

void key_set_unref(struct key_set *set)
{
    /* Release and acquire: the last one frees after all others have read. */
    if (!set || atomic_fetch_sub_explicit(&set->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < set->count; i++)
        release_key(&set->keys[i]);
    free(set);
}

size_t key_set_count(const struct key_set *set)
{
    return set->count;
}

const struct key *key_set_at(const struct key_set *set, size_t index)
{
    return &set->keys[index];
}

bool key_set_has_kids(const struct key_set *set)
{
    return set->has_kids;
}

const unsigned char *key_set_identity(const struct key_set *set)
{
    return set->identity;
}
