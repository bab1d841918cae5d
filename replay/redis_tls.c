#include "replay/redis_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct redis_tls {
    SSL *ssl;
    bool is_established; /* as of the beginning of the last read or write: OpenSSL forgets it in a failure */
    bool read_wants_write;
    bool write_wants_write;
    bool write_wants_read;
    char error[REDIS_TLS_ERROR_SIZE];
};

static bool is_given(const char *text)
{
    return text && *text;
}

/* The first entry of OpenSSL's queue, which it then empties. */
static void explain(char ret_error[REDIS_TLS_ERROR_SIZE], const char *what)
{
    unsigned long code = ERR_peek_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;

    snprintf(ret_error, REDIS_TLS_ERROR_SIZE, "%s: %s", what, reason ? reason : "no reason given");
    ERR_clear_error();
}

static bool load_authorities(SSL_CTX *context, const char *file)
{
    if (is_given(file))
        return SSL_CTX_load_verify_locations(context, file, NULL) == 1;
    return SSL_CTX_set_default_verify_paths(context) == 1;
}

static SSL_CTX *make_context(const struct redis_tls_options *options, char ret_error[REDIS_TLS_ERROR_SIZE])
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    const char *problem = NULL;

    if (!context || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1)
        problem = "TLS cannot be set up";
    else if (!load_authorities(context, options->ca_file))
        problem = "REDIS_TLS_CA_FILE";
    else if (is_given(options->cert_file) && SSL_CTX_use_certificate_chain_file(context, options->cert_file) != 1)
        problem = "REDIS_TLS_CERT_FILE";
    else if (is_given(options->cert_file) &&
             SSL_CTX_use_PrivateKey_file(context, options->key_file, SSL_FILETYPE_PEM) != 1)
        problem = "REDIS_TLS_KEY_FILE";
    if (problem) {
        explain(ret_error, problem);
        SSL_CTX_free(context);
        return NULL;
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    /* The output of a connection moves in memory while a write waits, and grows: both are fine with us. */
    SSL_CTX_set_mode(context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    return context;
}

/* Whom the certificate must name. An address is no server name to be sent. */
static bool set_host(SSL *ssl, const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];

    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, host) == 1 && SSL_set1_host(ssl, host) == 1;
}

struct redis_tls *redis_tls_new(int fd, const struct redis_tls_options *options, char ret_error[REDIS_TLS_ERROR_SIZE])
{
    struct redis_tls *tls = calloc(1, sizeof *tls);
    SSL_CTX *context;

    snprintf(ret_error, REDIS_TLS_ERROR_SIZE, "no memory for TLS");
    if (!tls)
        return NULL;
    ERR_clear_error();
    context = make_context(options, ret_error);
    tls->ssl = context ? SSL_new(context) : NULL;
    SSL_CTX_free(context); /* the session has its own reference */
    if (!tls->ssl || !set_host(tls->ssl, options->host) || SSL_set_fd(tls->ssl, fd) != 1) {
        redis_tls_free(tls);
        return NULL;
    }
    SSL_set_connect_state(tls->ssl);
    ret_error[0] = '\0';
    return tls;
}

void redis_tls_free(struct redis_tls *tls)
{
    if (!tls)
        return;
    /* Tells the peer, if it can be told at once. After a failure OpenSSL forbids it. */
    if (tls->ssl && !tls->error[0] && SSL_is_init_finished(tls->ssl))
        (void)SSL_shutdown(tls->ssl);
    ERR_clear_error();
    SSL_free(tls->ssl);
    free(tls);
}

/* The peer was there, and is gone without having said so: OpenSSL 3 calls that a fault of the protocol. */
static bool is_gone(const struct redis_tls *tls)
{
    return tls->is_established && ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
}

static int break_off(struct redis_tls *tls, int error)
{
    snprintf(tls->error, sizeof tls->error, "the connection broke");
    ERR_clear_error();
    return -error;
}

/* What the failure of a read or write means: 0 for the peer's end, or -errno. */
static int classify(struct redis_tls *tls, int result)
{
    int error = errno;
    long verdict = SSL_get_verify_result(tls->ssl);

    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        return break_off(tls, error ? error : ECONNRESET);
    default:
        if (is_gone(tls))
            return break_off(tls, ECONNRESET);
        if (verdict == X509_V_OK)
            explain(tls->error, "TLS failed");
        else
            snprintf(tls->error, sizeof tls->error, "TLS failed: %s", X509_verify_cert_error_string(verdict));
        ERR_clear_error();
        return -EPROTO;
    }
}

static void prepare(struct redis_tls *tls)
{
    ERR_clear_error();
    errno = 0;
    tls->is_established = SSL_is_init_finished(tls->ssl);
}

static int limited(size_t size)
{
    return size > INT_MAX ? INT_MAX : (int)size;
}

ssize_t redis_tls_read(struct redis_tls *tls, void *ret_bytes, size_t size)
{
    int result;

    prepare(tls);
    result = SSL_read(tls->ssl, ret_bytes, limited(size));
    tls->read_wants_write = result <= 0 && SSL_want_write(tls->ssl);
    return result > 0 ? result : classify(tls, result);
}

ssize_t redis_tls_write(struct redis_tls *tls, const void *bytes, size_t size)
{
    int result;

    prepare(tls);
    result = SSL_write(tls->ssl, bytes, limited(size));
    tls->write_wants_write = result <= 0 && SSL_want_write(tls->ssl);
    tls->write_wants_read = result <= 0 && SSL_want_read(tls->ssl);
    if (result > 0)
        return result;
    result = classify(tls, result);
    return result == 0 ? -EPIPE : result;
}

bool redis_tls_wants_write(const struct redis_tls *tls)
{
    return tls->read_wants_write || tls->write_wants_write;
}

bool redis_tls_write_waits(const struct redis_tls *tls)
{
    return tls->write_wants_read;
}

const char *redis_tls_error(const struct redis_tls *tls)
{
    return tls->error;
}
