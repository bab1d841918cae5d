#ifndef SLUICE_CMD_KEYGEN_H
#define SLUICE_CMD_KEYGEN_H

#include <stdio.h>

/*
 * `sluice keygen --company acme [--id k1] [--expires 2027-01-01T00:00:00Z]`: makes an API key. Writes two lines to `output`: the
 * key, which is kept nowhere, and the line for API_KEYS_FILE. argv: what stands behind `keygen`. Returns the exit status: 0; 1
 * when there are no random numbers or `output` is closed; 2 for bad usage, with a message on `errors`.
 */
int keygen_run(int argc, char **argv, FILE *output, FILE *errors);

#endif
