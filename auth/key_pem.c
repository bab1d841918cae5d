#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#include "auth/key_set_build.h"

/* As many as a token without a kid is tried with. */
enum { PEM_MAX_KEYS = 4 };

static EVP_PKEY *key_of_certificate(const unsigned char *bytes, long size)
{
    X509 *certificate = d2i_X509(NULL, &bytes, size);
    EVP_PKEY *key = certificate ? X509_get_pubkey(certificate) : NULL;

    X509_free(certificate);
    return key;
}

static int add_block(struct key_set *set, const char *name, const unsigned char *bytes, long size,
                     struct key_error *ret_error)
{
    EVP_PKEY *key;

    if (strstr(name, "PRIVATE KEY"))
        return key_error_set(ret_error, "a private key; whoever only verifies tokens needs the public one, made by: "
                                        "openssl pkey -in private.pem -pubout");
    if (strcmp(name, "PUBLIC KEY") == 0)
        key = d2i_PUBKEY(NULL, &bytes, size);
    else if (strcmp(name, "RSA PUBLIC KEY") == 0)
        key = d2i_PublicKey(EVP_PKEY_RSA, NULL, &bytes, size);
    else if (strcmp(name, "CERTIFICATE") == 0)
        key = key_of_certificate(bytes, size);
    else
        return key_error_set(ret_error, "a PEM block \"%.32s\"; expected PUBLIC KEY or CERTIFICATE", name);
    if (!key)
        return key_error_set(ret_error, "a PEM block \"%.32s\" that cannot be read; is the text whole?", name);
    if (key_set_count(set) == PEM_MAX_KEYS) {
        EVP_PKEY_free(key);
        return key_error_set(ret_error, "more than %d PEM blocks; use a JWKS, whose keys have ids", PEM_MAX_KEYS);
    }
    return key_set_add_public(set, key, NULL, ALGORITHM_ALL, ret_error);
}

static int add_blocks(struct key_set *set, BIO *text, struct key_error *ret_error)
{
    int status = 0;

    while (status == 0) {
        char *name = NULL;
        char *header = NULL;
        unsigned char *bytes = NULL;
        long size = 0;

        if (PEM_read_bio(text, &name, &header, &bytes, &size) != 1)
            break;
        status = add_block(set, name, bytes, size, ret_error);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(bytes, (size_t)size);
    }
    if (status == 0 && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        status = key_error_set(ret_error, "a PEM block that cannot be read; is the text whole?");
    else if (status == 0 && key_set_count(set) == 0)
        status = key_error_set(ret_error, "no PEM text; expected a line -----BEGIN PUBLIC KEY----- (or CERTIFICATE)");
    return status;
}

struct key_set *key_set_from_pem(const char *text, size_t size, struct key_error *ret_error)
{
    struct key_set *set;
    BIO *bio = NULL;
    int status = -ENOMEM;

    if (size > KEY_SET_MAX_BYTES) {
        key_error_set(ret_error, "larger than %d bytes; is it the right file?", KEY_SET_MAX_BYTES);
        return NULL;
    }
    set = key_set_begin("pem", text, size, ret_error);
    if (!set)
        return NULL;
    ERR_clear_error();
    bio = BIO_new_mem_buf(text, (int)size);
    if (bio)
        status = add_blocks(set, bio, ret_error);
    else
        key_error_set(ret_error, "out of memory");
    BIO_free(bio);
    ERR_clear_error();
    if (status == 0)
        return set;
    key_set_unref(set);
    return NULL;
}
