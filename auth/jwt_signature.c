#include "auth/jwt_signature.h"

#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdlib.h>

/*
 * OpenSSL with keys that are made ready once. libjwt, which makes tokens (token_make.c), parses a PEM text anew for each token
 * that it verifies (half a millisecond), looks for the HMAC's parts anew, takes an ES256 signature by a key of another curve and an
 * HS256 one keyed with the PEM text, and knows neither PS* nor EdDSA.
 */
static bool is_good_hmac(const struct jwt_text *text, const EVP_MAC_CTX *keyed)
{
    EVP_MAC_CTX *mac = EVP_MAC_CTX_dup(keyed);
    unsigned char made[EVP_MAX_MD_SIZE];
    size_t size = 0;
    bool is_good = mac &&
                   EVP_MAC_update(mac, (const unsigned char *)text->signing_input, text->signing_input_size) == 1 &&
                   EVP_MAC_final(mac, made, &size, sizeof made) == 1 && size == text->signature_size &&
                   CRYPTO_memcmp(made, text->signature, size) == 0;

    EVP_MAC_CTX_free(mac);
    return is_good;
}

static const EVP_MD *digest_of(enum algorithm algorithm)
{
    switch (algorithm) {
    case ALGORITHM_RS256:
    case ALGORITHM_PS256:
    case ALGORITHM_ES256:
        return EVP_sha256();
    case ALGORITHM_RS384:
    case ALGORITHM_PS384:
    case ALGORITHM_ES384:
        return EVP_sha384();
    case ALGORITHM_RS512:
    case ALGORITHM_PS512:
    case ALGORITHM_ES512:
        return EVP_sha512();
    default:
        return NULL; /* EdDSA has its own */
    }
}

static bool is_pss(enum algorithm algorithm)
{
    return algorithm == ALGORITHM_PS256 || algorithm == ALGORITHM_PS384 || algorithm == ALGORITHM_PS512;
}

static bool verify(const struct jwt_text *text, EVP_PKEY *key, const unsigned char *signature, size_t size)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key_context;
    bool is_good = context && EVP_DigestVerifyInit(context, &key_context, digest_of(text->algorithm), NULL, key) == 1;

    if (is_good && is_pss(text->algorithm))
        is_good = EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING) == 1 &&
                  EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, RSA_PSS_SALTLEN_DIGEST) == 1;
    if (is_good)
        is_good = EVP_DigestVerify(context, signature, size, (const unsigned char *)text->signing_input,
                                   text->signing_input_size) == 1;
    EVP_MD_CTX_free(context);
    return is_good;
}

/* JOSE has r and s side by side, OpenSSL wants them in DER. */
static bool is_good_ecdsa(const struct jwt_text *text, EVP_PKEY *key, size_t number_size)
{
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = NULL;
    BIGNUM *s = NULL;
    unsigned char *der = NULL;
    int der_size = -1;
    bool is_good = false;

    if (pair && text->signature_size == 2 * number_size) {
        r = BN_bin2bn(text->signature, (int)number_size, NULL);
        s = BN_bin2bn(text->signature + number_size, (int)number_size, NULL);
    }
    if (r && s && ECDSA_SIG_set0(pair, r, s) == 1) {
        r = NULL;
        s = NULL;
        der_size = i2d_ECDSA_SIG(pair, &der);
    }
    if (der_size > 0)
        is_good = verify(text, key, der, (size_t)der_size);
    OPENSSL_free(der);
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(pair);
    return is_good;
}

bool jwt_signature_is_good(const struct jwt_text *text, const struct key *key)
{
    bool is_good = false;

    switch (key->type) {
    case KEY_SECRET:
        is_good = is_good_hmac(text, key->macs[text->algorithm]);
        break;
    case KEY_RSA:
    case KEY_ED25519:
        is_good = verify(text, key->public_key, text->signature, text->signature_size);
        break;
    case KEY_EC_P256:
        is_good = is_good_ecdsa(text, key->public_key, 32);
        break;
    case KEY_EC_P384:
        is_good = is_good_ecdsa(text, key->public_key, 48);
        break;
    case KEY_EC_P521:
        is_good = is_good_ecdsa(text, key->public_key, 66);
        break;
    }
    /* A refused signature leaves errors in the thread's queue, for whoever looks there next. */
    ERR_clear_error();
    return is_good;
}
