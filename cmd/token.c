#include "cmd/token.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auth/algorithm.h"
#include "auth/jwt.h"
#include "auth/key_set.h"
#include "auth/random_text.h"
#include "auth/token_make.h"
#include "cmd/flags.h"
#include "core/clock.h"
#include "core/config_secret.h"
#include "core/config_value.h"

enum { USUAL_LIFETIME_S = 600, LIFETIME_MAX_S = 366 * 86400 };

static int complain(FILE *errors, const char *name, const char *problem)
{
    return flags_complain(errors, "token --company COMPANY [--user USER] [--lifetime SECONDS] [--setting value]...",
                          name, problem);
}

static bool read_lifetime(const char *text, int64_t *ret_seconds)
{
    char *end;
    long long seconds;

    errno = 0;
    seconds = strtoll(text, &end, 10);
    *ret_seconds = seconds;
    return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && seconds > 0 && seconds <= LIFETIME_MAX_S;
}

int token_take_arguments(int *argc, char **argv, struct token_request *ret_request, FILE *errors)
{
    struct token_request request = {.lifetime_s = USUAL_LIFETIME_S};
    const char *lifetime = NULL;
    const struct flag flags[] = {{"--company", &request.company}, {"--user", &request.user}, {"--lifetime", &lifetime}};
    const char *name;
    const char *problem = flags_take(flags, sizeof flags / sizeof flags[0], argc, argv, &name);

    if (problem)
        return complain(errors, name, problem);
    if (!request.company)
        return complain(errors, "--company", "is required");
    if (!config_is_company_id(request.company, strlen(request.company)))
        return complain(errors, "--company", "expected " COMPANY_ID_EXPECTED);
    if (request.user && (!*request.user || strlen(request.user) >= JWT_NAME_SIZE))
        return complain(errors, "--user", "expected 1 to 128 bytes");
    if (lifetime && !read_lifetime(lifetime, &request.lifetime_s))
        return complain(errors, "--lifetime", "expected seconds, from 1 to 31622400 (a year)");
    *ret_request = request;
    return 0;
}

/* The secret of the settings, to be freed by config_secret_free(). Returns 0 or, with a message, the exit status. */
static int read_secret(const struct config *config, char **ret_secret, FILE *errors)
{
    int status;

    if (!*config->jwt_secret && !*config->jwt_secret_file) {
        fputs("sluice token: needs AUTH_MODE=jwt and JWT_SECRET or JWT_SECRET_FILE; "
              "with public keys whoever has the private one makes the tokens\n",
              errors);
        return FLAGS_BAD_USAGE;
    }
    if (*config->jwt_secret) {
        *ret_secret = strdup(config->jwt_secret);
        status = *ret_secret ? 0 : -ENOMEM;
    } else {
        status = config_secret_read(config->jwt_secret_file, ret_secret);
    }
    if (status == 0)
        return 0;
    fprintf(errors, "sluice token: JWT_SECRET_FILE: %s\n", config_secret_error(status));
    return EXIT_FAILURE;
}

/* The weakest of the algorithms that the settings allow; ALGORITHM_COUNT: none of a secret. */
static enum algorithm choose_algorithm(const struct config *config)
{
    algorithm_set allowed = algorithm_set_of(config->jwt_algorithms);

    for (int i = 0; i < ALGORITHM_HMAC_COUNT; i++)
        if (allowed == 0 || (allowed & ALGORITHM_BIT(i)))
            return (enum algorithm)i;
    return ALGORITHM_COUNT;
}

static int make(const struct config *config, const struct token_request *request, const char *secret, FILE *output,
                FILE *errors)
{
    int64_t now_s = clock_unix_ms() / 1000;
    char id[RANDOM_ID_SIZE];
    struct token_content content = {.algorithm = choose_algorithm(config),
                                    .company_claim = config->jwt_company_claim,
                                    .company = request->company,
                                    .user_claim = config->jwt_user_claim,
                                    .user = request->user,
                                    .token_id = id,
                                    .issuer = config->jwt_issuer,
                                    .audience = config->jwt_audience,
                                    .issued_s = now_s,
                                    .expires_s = now_s + request->lifetime_s};
    char *token;

    if (content.algorithm == ALGORITHM_COUNT) {
        fputs("sluice token: JWT_ALGORITHMS allows none of HS256, HS384 and HS512\n", errors);
        return FLAGS_BAD_USAGE;
    }
    if (random_id(id) < 0) {
        fputs("sluice token: there are no random numbers\n", errors);
        return EXIT_FAILURE;
    }
    if (token_make(&content, secret, strlen(secret), &token) < 0) {
        fputs("sluice token: out of memory, or a text that is not UTF-8\n", errors);
        return EXIT_FAILURE;
    }
    fprintf(output, "%s\n", token);
    free(token);
    if (fflush(output) == 0 && !ferror(output))
        return EXIT_SUCCESS;
    fputs("sluice token: the token could not be written\n", errors);
    return EXIT_FAILURE;
}

int token_run(const struct config *config, const struct token_request *request, FILE *output, FILE *errors)
{
    struct key_error error;
    struct key_set *keys;
    char *secret = NULL;
    int status = read_secret(config, &secret, errors);

    if (status != 0)
        return status;
    /* What Sluice would not take as a secret makes no token, either. The setting itself was checked, the file was not. */
    keys = key_set_from_secret(secret, strlen(secret), &error);
    if (keys) {
        status = make(config, request, secret, output, errors);
    } else {
        fprintf(errors, "sluice token: JWT_SECRET_FILE: %s\n", error.text);
        status = FLAGS_BAD_USAGE;
    }
    key_set_unref(keys);
    config_secret_free(secret);
    return status;
}
