#ifndef SLUICE_TESTS_FUZZ_FAKE_REQUEST_H
#define SLUICE_TESTS_FUZZ_FAKE_REQUEST_H

/*
 * A request without libmicrohttpd's sockets: what request_header() and request_parameter() look into. It takes the place of
 * MHD_get_connection_values_n() in the programs that it is linked into.
 */
struct MHD_Connection;

/* text: the query, and on each further line a header `Name: value`. */
struct MHD_Connection *fake_request_new(const char *text);
void fake_request_free(struct MHD_Connection *connection);

#endif
