#include "replay/redis_tls.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* A client of ours and a server of OpenSSL's on two ends of a socket pair, both without blocking. */
struct rig {
    char ca_file[32];
    SSL_CTX *context;
    SSL *server;
    int fds[2];
    struct redis_tls *tls;
};

static EVP_PKEY *certify(SSL_CTX *context, const char *ca_file)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:redis.example");
    FILE *file = fopen(ca_file, "w");

    assert_non_null(file);
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC, (const unsigned char *)"x", -1,
                               -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    X509_add_ext(certificate, names, -1);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    fclose(file);
    assert_int_equal(SSL_CTX_use_certificate(context, certificate), 1);
    X509_EXTENSION_free(names);
    X509_free(certificate);
    return key;
}

static struct rig make_rig(const char *host)
{
    struct rig rig = {.ca_file = "/tmp/sluice-ca-XXXXXX", .context = SSL_CTX_new(TLS_server_method())};
    struct redis_tls_options options = {.host = host, .ca_file = rig.ca_file};
    char error[REDIS_TLS_ERROR_SIZE];
    int small = 4096;
    EVP_PKEY *key;

    close(mkstemp(rig.ca_file));
    key = certify(rig.context, rig.ca_file);
    assert_int_equal(SSL_CTX_use_PrivateKey(rig.context, key), 1);
    EVP_PKEY_free(key);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, rig.fds), 0);
    for (int i = 0; i < 2; i++)
        setsockopt(rig.fds[i], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    rig.server = SSL_new(rig.context);
    SSL_set_fd(rig.server, rig.fds[1]);
    SSL_set_accept_state(rig.server);
    rig.tls = redis_tls_new(rig.fds[0], &options, error);
    assert_non_null(rig.tls);
    return rig;
}

static void release_rig(struct rig *rig)
{
    redis_tls_free(rig->tls);
    SSL_free(rig->server);
    SSL_CTX_free(rig->context);
    close(rig->fds[0]);
    close(rig->fds[1]);
    unlink(rig->ca_file);
}

/* Both in turns until the client can say how its handshake went: 0, or what a read gave. */
static int shake_hands(struct rig *rig)
{
    char byte;

    for (int i = 0; i < 1000; i++) {
        ssize_t got = redis_tls_read(rig->tls, &byte, 1);

        if (got != -EAGAIN)
            return (int)got;
        if (SSL_do_handshake(rig->server) == 1)
            return 0;
    }
    return -ETIMEDOUT;
}

static void test_a_handshake_waits_without_spinning(void **state)
{
    struct rig rig = make_rig("redis.example");

    (void)state;
    /* Its first words are sent; now it is the server's turn, and room in the socket is nothing to wait for. */
    assert_int_equal(redis_tls_write(rig.tls, "x", 1), -EAGAIN);
    assert_false(redis_tls_wants_write(rig.tls));
    assert_true(redis_tls_write_waits(rig.tls));
    assert_int_equal(shake_hands(&rig), 0);
    assert_string_equal(redis_tls_error(rig.tls), "");
    assert_int_equal(redis_tls_write(rig.tls, "x", 1), 1);
    assert_false(redis_tls_write_waits(rig.tls));
    release_rig(&rig);
}

/* The bytes move in memory and grow between two tries, as the output of a connection does. */
static void test_short_writes_go_on_from_elsewhere(void **state)
{
    enum { SIZE = 1000000 };
    struct rig rig = make_rig("redis.example");
    char *sent = malloc(SIZE);
    char *got = malloc(SIZE);
    size_t written = 0;
    size_t received = 0;
    size_t offered = SIZE / 2;
    int waits = 0;

    (void)state;
    for (size_t i = 0; i < SIZE; i++)
        sent[i] = (char)(i * 31 + i / 251);
    assert_int_equal(shake_hands(&rig), 0);
    while (received < SIZE) {
        char *copy = malloc(SIZE);
        ssize_t part;
        int read_bytes;

        memcpy(copy, sent, SIZE);
        part = written < offered ? redis_tls_write(rig.tls, copy + written, offered - written) : 0;
        free(copy);
        if (part > 0)
            written += (size_t)part;
        else if (part < 0) {
            assert_int_equal(part, -EAGAIN);
            assert_true(redis_tls_wants_write(rig.tls));
            waits++;
            offered = SIZE;
        } else {
            offered = SIZE;
        }
        if (part > 0)
            continue;
        do {
            read_bytes = SSL_read(rig.server, got + received, (int)(SIZE - received));
            received += read_bytes > 0 ? (size_t)read_bytes : 0;
        } while (read_bytes > 0 && received < SIZE);
    }
    assert_true(waits > 0);
    assert_memory_equal(sent, got, SIZE);
    free(sent);
    free(got);
    release_rig(&rig);
}

static void test_a_certificate_for_another_host_is_refused(void **state)
{
    static const char *const hosts[] = {"other.example", "127.0.0.1", "redis.example.evil"};

    (void)state;
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        struct rig rig = make_rig(hosts[i]);

        assert_int_equal(shake_hands(&rig), -EPROTO);
        assert_non_null(strstr(redis_tls_error(rig.tls), "mismatch"));
        release_rig(&rig);
    }
}

static void test_the_end_of_the_peer_is_told(void **state)
{
    struct rig rig = make_rig("redis.example");
    char byte;

    (void)state;
    assert_int_equal(shake_hands(&rig), 0);
    SSL_shutdown(rig.server);
    assert_int_equal(redis_tls_read(rig.tls, &byte, 1), 0);
    release_rig(&rig);
}

/* A server that crashed says nothing: that is no matter of certificates. */
static void test_an_end_without_a_word_is_a_broken_connection(void **state)
{
    struct rig rig = make_rig("redis.example");
    char byte;

    (void)state;
    assert_int_equal(shake_hands(&rig), 0);
    shutdown(rig.fds[1], SHUT_RDWR);
    assert_int_equal(redis_tls_read(rig.tls, &byte, 1), -ECONNRESET);
    assert_string_equal(redis_tls_error(rig.tls), "the connection broke");
    release_rig(&rig);
}

static void test_a_file_that_is_no_certificate_is_named(void **state)
{
    struct redis_tls_options options = {.host = "h", .ca_file = "/dev/null"};
    char error[REDIS_TLS_ERROR_SIZE];

    (void)state;
    assert_null(redis_tls_new(-1, &options, error));
    assert_non_null(strstr(error, "REDIS_TLS_CA_FILE"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_handshake_waits_without_spinning),
        cmocka_unit_test(test_short_writes_go_on_from_elsewhere),
        cmocka_unit_test(test_a_certificate_for_another_host_is_refused),
        cmocka_unit_test(test_the_end_of_the_peer_is_told),
        cmocka_unit_test(test_an_end_without_a_word_is_a_broken_connection),
        cmocka_unit_test(test_a_file_that_is_no_certificate_is_named),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
