#ifndef SLUICE_HTTP_SUSPENSIONS_H
#define SLUICE_HTTP_SUSPENSIONS_H

#include <microhttpd.h>
#include <stdbool.h>

/*
 * The connections that wait for an answer of another thread: libmicrohttpd goes on with others meanwhile, and must not end
 * before they are resumed. Any thread, where nothing else is said.
 */
struct suspensions;

/* NULL: no memory. */
struct suspensions *suspensions_new(void);
void suspensions_free(struct suspensions *suspensions);

/*
 * Suspends the connection, whose handler is called again after suspensions_end(). False: they were closed, and it is not
 * suspended. libmicrohttpd's thread.
 */
bool suspensions_begin(struct suspensions *suspensions, struct MHD_Connection *connection);

/* Resumes it. From here the request is libmicrohttpd's thread's. */
void suspensions_end(struct suspensions *suspensions, struct MHD_Connection *connection);

/* Lets no more begin, and waits until all have ended. */
void suspensions_close(struct suspensions *suspensions);

#endif
