#ifndef SLUICE_TESTS_UNIT_SUPPORT_LOOPBACK_H
#define SLUICE_TESTS_UNIT_SUPPORT_LOOPBACK_H

#include <stddef.h>

/* What the tests' own servers share. What cannot be had fails the test. */

/* A socket that listens on a free port of this host; shutdown() ends an accept() that waits. */
int loopback_listen(int *ret_port);

/* A connection to a port of this host. */
int loopback_dial(int port);

/* Sends all of it, or as much as the peer takes before it goes. */
void loopback_send(int fd, const char *bytes, size_t size);

#endif
