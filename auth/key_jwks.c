#include <errno.h>
#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdlib.h>
#include <string.h>

#include "auth/base64url.h"
#include "auth/key_set_build.h"

enum { KID_MAX_BYTES = 256, FIELD_MAX_BYTES = 4096 };

/* A member of a key, decoded. */
struct field {
    unsigned char bytes[FIELD_MAX_BYTES];
    size_t size;
};

static bool read_field(const json_t *jwk, const char *name, struct field *ret_field)
{
    const json_t *value = json_object_get(jwk, name);
    ssize_t size;

    if (!json_is_string(value) || BASE64URL_DECODED_SIZE(json_string_length(value)) > sizeof ret_field->bytes)
        return false;
    size = base64url_decode(json_string_value(value), json_string_length(value), ret_field->bytes);
    if (size <= 0)
        return false;
    ret_field->size = (size_t)size;
    return true;
}

static bool is_text(const json_t *value, const char *text)
{
    return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

static EVP_PKEY *make_key(const char *kind, OSSL_PARAM_BLD *builder)
{
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
    EVP_PKEY *key = NULL;

    if (!parameters || !context || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(parameters);
    return key;
}

static EVP_PKEY *make_rsa(const struct field *modulus, const struct field *exponent)
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *n = BN_bin2bn(modulus->bytes, (int)modulus->size, NULL);
    BIGNUM *e = BN_bin2bn(exponent->bytes, (int)exponent->size, NULL);
    EVP_PKEY *key = NULL;

    /* With an exponent of 1, every number is its own signature. */
    if (builder && n && e && BN_is_odd(n) && BN_is_odd(e) && !BN_is_one(e) && BN_num_bits(e) <= 64 &&
        BN_num_bits(n) <= KEY_MAX_RSA_BITS && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1)
        key = make_key("RSA", builder);
    BN_free(n);
    BN_free(e);
    OSSL_PARAM_BLD_free(builder);
    return key;
}

/* That the point lies on the curve, which not every version of OpenSSL asks on its own. */
static EVP_PKEY *check_point(EVP_PKEY *key)
{
    EVP_PKEY_CTX *context = key ? EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL) : NULL;
    bool is_good = context && EVP_PKEY_public_check(context) == 1;

    EVP_PKEY_CTX_free(context);
    if (is_good)
        return key;
    EVP_PKEY_free(key);
    return NULL;
}

struct curve {
    const char *name;
    const char *group;
    size_t size;
};

static const struct curve curves[] = {
    {"P-256", "prime256v1", 32}, {"P-384", "secp384r1", 48}, {"P-521", "secp521r1", 66}};

static const struct curve *find_curve(const json_t *jwk)
{
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++)
        if (is_text(json_object_get(jwk, "crv"), curves[i].name))
            return &curves[i];
    return NULL;
}

static EVP_PKEY *make_ec(const struct curve *curve, const struct field *x, const struct field *y)
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    unsigned char point[1 + 2 * 66];
    EVP_PKEY *key = NULL;

    /* RFC 7518 §6.2.1.2: of the curve's full size, with leading zeros. */
    if (builder && x->size == curve->size && y->size == curve->size) {
        point[0] = POINT_CONVERSION_UNCOMPRESSED;
        memcpy(point + 1, x->bytes, curve->size);
        memcpy(point + 1 + curve->size, y->bytes, curve->size);
        if (OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, curve->group, 0) == 1 &&
            OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * curve->size) == 1)
            key = check_point(make_key("EC", builder));
    }
    OSSL_PARAM_BLD_free(builder);
    return key;
}

static int add_made(struct key_set *set, EVP_PKEY *key, const char *kid, algorithm_set allowed,
                    struct key_error *ret_error)
{
    if (key)
        return key_set_add_public(set, key, kid, allowed, ret_error);
    return key_error_set(ret_error,
                         "the key \"%.64s\" is broken: a member is missing, malformed or of the wrong size, or "
                         "its point is not on the curve",
                         kid ? kid : "(without a kid)");
}

static int add_rsa(struct key_set *set, const json_t *jwk, const char *kid, algorithm_set allowed,
                   struct key_error *ret_error)
{
    struct field n;
    struct field e;
    EVP_PKEY *key = read_field(jwk, "n", &n) && read_field(jwk, "e", &e) ? make_rsa(&n, &e) : NULL;

    return add_made(set, key, kid, allowed, ret_error);
}

static int add_ec(struct key_set *set, const json_t *jwk, const char *kid, algorithm_set allowed,
                  struct key_error *ret_error)
{
    const struct curve *curve = find_curve(jwk);
    struct field x;
    struct field y;
    EVP_PKEY *key;

    /* A curve for other purposes, such as secp256k1. */
    if (!curve)
        return 0;
    key = read_field(jwk, "x", &x) && read_field(jwk, "y", &y) ? make_ec(curve, &x, &y) : NULL;
    return add_made(set, key, kid, allowed, ret_error);
}

static int add_okp(struct key_set *set, const json_t *jwk, const char *kid, algorithm_set allowed,
                   struct key_error *ret_error)
{
    struct field x;
    EVP_PKEY *key = NULL;

    if (!is_text(json_object_get(jwk, "crv"), "Ed25519"))
        return 0;
    if (read_field(jwk, "x", &x))
        key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x.bytes, x.size);
    return add_made(set, key, kid, allowed, ret_error);
}

static int add_oct(struct key_set *set, const json_t *jwk, const char *kid, algorithm_set allowed,
                   struct key_error *ret_error)
{
    struct field k;
    int status;

    if (!read_field(jwk, "k", &k))
        return add_made(set, NULL, kid, allowed, ret_error);
    status = key_set_add_secret(set, k.bytes, k.size, kid, allowed, ret_error);
    OPENSSL_cleanse(&k, sizeof k);
    return status;
}

/* Whether it is meant for verifying signatures: sets hold keys for encryption too. */
static bool is_for_signatures(const json_t *jwk, algorithm_set *ret_allowed)
{
    const json_t *use = json_object_get(jwk, "use");
    const json_t *algorithm = json_object_get(jwk, "alg");
    const json_t *operations = json_object_get(jwk, "key_ops");
    bool may_verify = !operations;

    for (size_t i = 0; i < json_array_size(operations); i++)
        may_verify = may_verify || is_text(json_array_get(operations, i), "verify");
    *ret_allowed = ALGORITHM_ALL;
    if (algorithm) {
        const char *name = json_is_string(algorithm) ? json_string_value(algorithm) : "";

        *ret_allowed = ALGORITHM_BIT(algorithm_find(name, strlen(name))) & ALGORITHM_ALL;
    }
    return may_verify && (!use || is_text(use, "sig")) && *ret_allowed != 0;
}

static int read_kid(const json_t *jwk, const char **ret_kid, struct key_error *ret_error)
{
    const json_t *kid = json_object_get(jwk, "kid");

    *ret_kid = json_string_value(kid);
    if (!kid || (json_is_string(kid) && json_string_length(kid) <= KID_MAX_BYTES))
        return 0;
    return key_error_set(ret_error, "a kid that is no string of at most %d bytes", KID_MAX_BYTES);
}

static int add_jwk(struct key_set *set, const json_t *jwk, struct key_error *ret_error)
{
    static const struct {
        const char *name;
        int (*add)(struct key_set *set, const json_t *jwk, const char *kid, algorithm_set allowed,
                   struct key_error *ret_error);
    } kinds[] = {{"RSA", add_rsa}, {"EC", add_ec}, {"OKP", add_okp}, {"oct", add_oct}};
    algorithm_set allowed;
    const char *kid;

    if (!json_is_string(json_object_get(jwk, "kty")))
        return key_error_set(ret_error, "an entry of \"keys\" that is no object with a kty");
    if (json_object_get(jwk, "d"))
        return key_error_set(ret_error, "a private key (it has a d); publish the public parts only, and replace that "
                                        "key if others could read it");
    if (!is_for_signatures(jwk, &allowed))
        return 0;
    if (read_kid(jwk, &kid, ret_error) < 0)
        return -EINVAL;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (is_text(json_object_get(jwk, "kty"), kinds[i].name))
            return kinds[i].add(set, jwk, kid, allowed, ret_error);
    return 0;
}

static int add_all(struct key_set *set, const json_t *jwks, struct key_error *ret_error)
{
    const json_t *keys = json_object_get(jwks, "keys");
    size_t count = json_array_size(keys);
    int status = 0;

    if (!json_is_array(keys))
        return key_error_set(ret_error, "no JWKS; expected a JSON object with an array \"keys\"");
    if (count > KEY_SET_MAX_KEYS)
        return key_error_set(ret_error, "%zu keys; a JWKS may have at most %d", count, KEY_SET_MAX_KEYS);
    for (size_t i = 0; status == 0 && i < count; i++)
        status = add_jwk(set, json_array_get(keys, i), ret_error);
    if (status == 0 && key_set_count(set) == 0)
        return key_error_set(ret_error,
                             "no key for signatures among the %zu of the JWKS; it needs one of kty RSA, EC, "
                             "OKP or oct",
                             count);
    return status;
}

struct key_set *key_set_from_jwks(const char *text, size_t size, struct key_error *ret_error)
{
    struct key_set *set;
    json_error_t json_error;
    json_t *jwks;
    int status;

    if (size > KEY_SET_MAX_BYTES) {
        key_error_set(ret_error, "larger than %d bytes; is it a JWKS?", KEY_SET_MAX_BYTES);
        return NULL;
    }
    jwks = json_loadb(text, size, JSON_REJECT_DUPLICATES, &json_error);
    if (!jwks) {
        /* jansson's own text quotes the input, which may hold secrets. */
        key_error_set(ret_error, "not JSON (line %d, column %d)", json_error.line, json_error.column);
        return NULL;
    }
    set = key_set_begin("jwks", text, size, ret_error);
    status = set ? add_all(set, jwks, ret_error) : -ENOMEM;
    json_decref(jwks);
    ERR_clear_error();
    if (status == 0)
        return set;
    key_set_unref(set);
    return NULL;
}
