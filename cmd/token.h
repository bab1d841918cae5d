#ifndef SLUICE_CMD_TOKEN_H
#define SLUICE_CMD_TOKEN_H

#include <stdint.h>
#include <stdio.h>

#include "core/config.h"

/*
 * `sluice token --company acme [--user u1] [--lifetime 600]`: makes a token that a Sluice with the same settings takes, for
 * trying it out: with their secret, claims, issuer and audience.
 */
struct token_request {
    const char *company;
    const char *user;   /* NULL: nobody in particular */
    int64_t lifetime_s; /* from now on */
};

/*
 * Takes what is the command's own out of what stands behind `token`, which leaves the settings. The texts stay argv's. Returns 0
 * or, with a message on `errors`, the exit status.
 */
int token_take_arguments(int *argc, char **argv, struct token_request *ret_request, FILE *errors);

/*
 * Writes the token and a line end to `output`. Returns the exit status: 0; 1 when something is not to be had; 2 for settings that
 * do not fit, with a message on `errors`.
 */
int token_run(const struct config *config, const struct token_request *request, FILE *output, FILE *errors);

#endif
