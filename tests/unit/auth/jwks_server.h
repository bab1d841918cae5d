#ifndef SLUICE_TESTS_UNIT_AUTH_JWKS_SERVER_H
#define SLUICE_TESTS_UNIT_AUTH_JWKS_SERVER_H

/* A small HTTP server on a free port of this host, with one answer for everybody at a time. */
struct jwks_server;

struct jwks_server *jwks_server_new(void);
void jwks_server_free(struct jwks_server *server);

/* http://127.0.0.1:<port>/jwks, owned by the server. */
const char *jwks_server_url(const struct jwks_server *server);

/*
 * From now on answers with this status line's rest ("200 OK"), further header lines (each with its CRLF) and body. With an
 * ETag among them, a request that has it gets 304. NULL as status: takes requests and never answers.
 */
void jwks_server_answer(struct jwks_server *server, const char *status, const char *headers, const char *body);

/* Requests so far, and how many of them were answered by 304. */
int jwks_server_requests(struct jwks_server *server);
int jwks_server_unchanged(struct jwks_server *server);

/* Waits until there were that many requests; fails the test after ten seconds. */
void jwks_server_await(struct jwks_server *server, int requests);

#endif
