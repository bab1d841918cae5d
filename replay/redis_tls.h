#ifndef SLUICE_REPLAY_REDIS_TLS_H
#define SLUICE_REPLAY_REDIS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* TLS over a non-blocking socket of the caller's. One thread. */
struct redis_tls;

struct redis_tls_options {
    const char *host;      /* its name or address: in the certificate it must be */
    const char *ca_file;   /* PEM; NULL or empty: those that the system trusts */
    const char *cert_file; /* our own chain, PEM; NULL or empty: none */
    const char *key_file;  /* its private key, PEM */
};

enum { REDIS_TLS_ERROR_SIZE = 120 };

/*
 * Begins a session; the handshake comes with the first reads and writes. Reads the files, so that each session has their
 * present content. NULL: a file is not good or no memory, and why, without secrets, in ret_error.
 */
struct redis_tls *redis_tls_new(int fd, const struct redis_tls_options *options, char ret_error[REDIS_TLS_ERROR_SIZE]);

/* Ends the session as far as the socket takes it; the socket stays the caller's. NULL is fine. */
void redis_tls_free(struct redis_tls *tls);

/*
 * As recv() and send(): how many bytes, 0 when the peer ended (read only), -EAGAIN, or another -errno; after -EPROTO,
 * redis_tls_error() says more. A write that gave -EAGAIN must be repeated with the same bytes in front, from wherever they
 * lie now, and perhaps more of them.
 */
ssize_t redis_tls_read(struct redis_tls *tls, void *ret_bytes, size_t size);
ssize_t redis_tls_write(struct redis_tls *tls, const void *bytes, size_t size);

/* Whether the last read or write waits for room in the socket: a handshake or a new key writes for a read too. */
bool redis_tls_wants_write(const struct redis_tls *tls);

/* Whether the last write waits for what the peer has to say first. */
bool redis_tls_write_waits(const struct redis_tls *tls);

/* Why the session failed, for people; empty: it did not. */
const char *redis_tls_error(const struct redis_tls *tls);

#endif
