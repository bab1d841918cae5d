#ifndef SLUICE_TESTS_UNIT_BRIDGE_NATS_SERVER_H
#define SLUICE_TESTS_UNIT_BRIDGE_NATS_SERVER_H

#include <stdbool.h>
#include <stddef.h>

/*
 * As much of a NATS server as one client needs, on a free port of this host: it notes subscriptions, and sends what a test says.
 * Whatever does not come within ten seconds fails the test.
 */
struct nats_server;

struct nats_server *nats_server_new(void);
void nats_server_free(struct nats_server *server);

/* nats://127.0.0.1:<port>, owned by the server. */
const char *nats_server_url(const struct nats_server *server);

/* Waits until the present connection has subscribed to that subject, letter by letter. */
void nats_server_await(struct nats_server *server, const char *subject);

/* Whether it has. */
bool nats_server_has(struct nats_server *server, const char *subject);

/* Sends a message to who subscribed to `subscription`. */
void nats_server_send(struct nats_server *server, const char *subscription, const char *subject, const char *payload,
                      size_t size);

/* The same of a message for each number from `first` to `last`, all in one write: who gives up in the middle had been sent them all. */
void nats_server_send_numbers(struct nats_server *server, const char *subscription, const char *subject, int first,
                              int last);

/* The next connection gets no answer but the one that it needs to be made. */
void nats_server_mute_next(struct nats_server *server);

/* Cuts the present connection; its subscriptions are forgotten before this returns. */
void nats_server_cut(struct nats_server *server);

#endif
