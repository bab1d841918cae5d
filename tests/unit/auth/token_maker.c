#include "tests/unit/auth/token_maker.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

EVP_PKEY *make_rsa_key(int bits)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits);

    assert_non_null(key);
    return key;
}

EVP_PKEY *make_ec_key(const char *curve)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", curve);

    assert_non_null(key);
    return key;
}

EVP_PKEY *make_ed25519_key(void)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

    assert_non_null(key);
    return key;
}

static char *text_from(BIO *bio)
{
    char *bytes;
    long size = BIO_get_mem_data(bio, &bytes);
    char *text = strndup(bytes, (size_t)size);

    assert_non_null(text);
    BIO_free(bio);
    return text;
}

char *public_pem(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());

    assert_int_equal(PEM_write_bio_PUBKEY(bio, key), 1);
    return text_from(bio);
}

char *private_pem(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());

    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    return text_from(bio);
}

char *certificate_pem(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    X509 *certificate = X509_new();

    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_bio_X509(bio, certificate), 1);
    X509_free(certificate);
    return text_from(bio);
}

static char *text_of_list(const char *format, va_list arguments)
{
    char *text = NULL;

    assert_true(vasprintf(&text, format, arguments) >= 0);
    return text;
}

char *text_of(const char *format, ...)
{
    va_list arguments;
    char *text;

    va_start(arguments, format);
    text = text_of_list(format, arguments);
    va_end(arguments);
    return text;
}

char *jwks(const char *format, ...)
{
    va_list arguments;
    char *keys;
    char *text;

    va_start(arguments, format);
    keys = text_of_list(format, arguments);
    va_end(arguments);
    text = text_of("{\"keys\":[%s]}", keys);
    free(keys);
    return text;
}

char *base64url(const void *bytes, size_t size)
{
    char *text = malloc(size / 3 * 4 + 5);
    char *at;

    assert_non_null(text);
    EVP_EncodeBlock((unsigned char *)text, bytes, (int)size);
    for (at = text; *at && *at != '='; at++)
        *at = *at == '+' ? '-' : *at == '/' ? '_' : *at;
    *at = '\0';
    return text;
}

static char *encoded_number(const EVP_PKEY *key, const char *name, int size)
{
    unsigned char bytes[2048];
    BIGNUM *number = NULL;
    char *text;

    assert_int_equal(EVP_PKEY_get_bn_param(key, name, &number), 1);
    if (size == 0)
        size = BN_num_bytes(number);
    assert_int_equal(BN_bn2binpad(number, bytes, size), size);
    text = base64url(bytes, (size_t)size);
    BN_free(number);
    return text;
}

static char *rsa_jwk(const EVP_PKEY *key, const char *extra)
{
    char *n = encoded_number(key, OSSL_PKEY_PARAM_RSA_N, 0);
    char *e = encoded_number(key, OSSL_PKEY_PARAM_RSA_E, 0);
    char *text = text_of("{%s\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"}", extra, n, e);

    free(n);
    free(e);
    return text;
}

static char *ec_jwk(const EVP_PKEY *key, const char *extra)
{
    int bits = EVP_PKEY_get_bits(key);
    char *x = encoded_number(key, OSSL_PKEY_PARAM_EC_PUB_X, (bits + 7) / 8);
    char *y = encoded_number(key, OSSL_PKEY_PARAM_EC_PUB_Y, (bits + 7) / 8);
    char *text = text_of("{%s\"kty\":\"EC\",\"crv\":\"P-%d\",\"x\":\"%s\",\"y\":\"%s\"}", extra, bits, x, y);

    free(x);
    free(y);
    return text;
}

static char *okp_jwk(const EVP_PKEY *key, const char *extra)
{
    unsigned char bytes[32];
    size_t size = sizeof bytes;
    char *x;
    char *text;

    assert_int_equal(EVP_PKEY_get_raw_public_key(key, bytes, &size), 1);
    x = base64url(bytes, size);
    text = text_of("{%s\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"%s\"}", extra, x);
    free(x);
    return text;
}

char *public_jwk(EVP_PKEY *key, const char *extra)
{
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
        return rsa_jwk(key, extra);
    case EVP_PKEY_EC:
        return ec_jwk(key, extra);
    default:
        return okp_jwk(key, extra);
    }
}

static char *signing_input(const char *header, const char *payload)
{
    char *first = base64url(header, strlen(header));
    char *second = base64url(payload, strlen(payload));
    char *text = text_of("%s.%s", first, second);

    free(first);
    free(second);
    return text;
}

char *token_of(const char *header, const char *payload, const void *signature, size_t signature_size)
{
    char *input = signing_input(header, payload);
    char *last = base64url(signature, signature_size);
    char *token = text_of("%s.%s", input, last);

    free(input);
    free(last);
    return token;
}

static const EVP_MD *digest_of(const char *algorithm)
{
    if (strcmp(algorithm, "EdDSA") == 0)
        return NULL;
    if (strstr(algorithm, "512"))
        return EVP_sha512();
    return strstr(algorithm, "384") ? EVP_sha384() : EVP_sha256();
}

/* From DER to r and s side by side. */
static size_t raw_ecdsa(const unsigned char *der, size_t der_size, int number_size, unsigned char *ret_raw)
{
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)der_size);

    assert_non_null(pair);
    BN_bn2binpad(ECDSA_SIG_get0_r(pair), ret_raw, number_size);
    BN_bn2binpad(ECDSA_SIG_get0_s(pair), ret_raw + number_size, number_size);
    ECDSA_SIG_free(pair);
    return 2 * (size_t)number_size;
}

char *sign_with_key(EVP_PKEY *key, const char *algorithm, const char *header, const char *payload)
{
    char *input = signing_input(header, payload);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key_context;
    unsigned char signature[2048];
    unsigned char raw[2048];
    size_t size = sizeof signature;
    const unsigned char *used = signature;

    assert_int_equal(EVP_DigestSignInit(context, &key_context, digest_of(algorithm), NULL, key), 1);
    if (*algorithm == 'P') {
        EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, RSA_PSS_SALTLEN_DIGEST);
    }
    assert_int_equal(EVP_DigestSign(context, signature, &size, (unsigned char *)input, strlen(input)), 1);
    EVP_MD_CTX_free(context);
    free(input);
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC) {
        size = raw_ecdsa(signature, size, (EVP_PKEY_get_bits(key) + 7) / 8, raw);
        used = raw;
    }
    return token_of(header, payload, used, size);
}

char *sign_with_secret(const void *secret, size_t size, const char *algorithm, const char *header, const char *payload)
{
    char *input = signing_input(header, payload);
    unsigned char signature[64];
    unsigned signature_size = sizeof signature;

    assert_non_null(HMAC(digest_of(algorithm), secret, (int)size, (unsigned char *)input, strlen(input), signature,
                         &signature_size));
    free(input);
    return token_of(header, payload, signature, signature_size);
}
