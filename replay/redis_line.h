#ifndef SLUICE_REPLAY_REDIS_LINE_H
#define SLUICE_REPLAY_REDIS_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "replay/redis_tls.h"
#include "replay/redis_url.h"

/*
 * One connection to one server, from its dialing to its end: dials, logs in, selects the database, asks while nobody else
 * does (a Redis that hangs shows only in an answer that does not come). It is not tried again. One thread; it never blocks
 * it.
 */
struct redis_line;
struct redis_connection;

enum { REDIS_REASON_SIZE = 256, REDIS_NO_DATABASE = -1 };

struct redis_line_options {
    struct redis_endpoint server;
    bool secure;
    struct redis_tls_options tls; /* its host is the server's; the names of its files outlive the line */
    const char *user;             /* NULL or empty: none; outlives the line, as does the password */
    const char *password;         /* NULL: none */
    int database;                 /* REDIS_NO_DATABASE: none is selected */
    bool must_be_master;          /* or else the line ends */
    char probe[48];               /* a key that is there nowhere, and that has to be writable; empty: none */
    int timeout_ms;               /* to connect, and for each answer */
};

/* Begins to dial. NULL: no memory or thread. */
struct redis_line *redis_line_new(const struct redis_line_options *options);

/* The connection, from the end of the login on; else NULL. Valid until the line is freed. */
struct redis_connection *redis_line_connection(const struct redis_line *line);

/* Where it leads. */
const struct redis_endpoint *redis_line_server(const struct redis_line *line);

/* The next run ends the line for that reason, unless it has one already. For callbacks of commands. */
void redis_line_give_up(struct redis_line *line, const char *what, const char *detail);

/* What to wait for, and until when, before the next run. */
int redis_line_poll_fd(const struct redis_line *line, short *ret_events);
int64_t redis_line_deadline_ns(const struct redis_line *line);

/* Returns 0, or -ENOTCONN when the line is over, and why, without secrets; then it can only be freed. */
int redis_line_run(struct redis_line *line, char ret_reason[REDIS_REASON_SIZE]);

/* Calls back every waiting command with NULL. NULL is fine. */
void redis_line_free(struct redis_line *line);

#endif
