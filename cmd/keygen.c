#include "cmd/keygen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auth/api_key.h"
#include "auth/random_text.h"
#include "cmd/flags.h"
#include "core/config_value.h"

struct request {
    const char *company;
    const char *id;
    const char *expires;
};

static int complain(FILE *errors, const char *name, const char *problem)
{
    return flags_complain(errors, "keygen --company COMPANY [--id ID] [--expires 2027-01-01T00:00:00Z]", name, problem);
}

static int read_arguments(int argc, char **argv, struct request *request, FILE *errors)
{
    const struct flag flags[] = {
        {"--company", &request->company}, {"--id", &request->id}, {"--expires", &request->expires}};
    const char *name;
    const char *problem = flags_take(flags, sizeof flags / sizeof flags[0], &argc, argv, &name);

    if (problem)
        return complain(errors, name, problem);
    return argc > 0 ? complain(errors, argv[0], "unknown argument") : 0;
}

static int check_request(const struct request *request, FILE *errors)
{
    int64_t expires_ms;

    if (!request->company)
        return complain(errors, "--company", "is required");
    if (!config_is_company_id(request->company, strlen(request->company)))
        return complain(errors, "--company", "expected " COMPANY_ID_EXPECTED);
    if (request->id && !config_is_company_id(request->id, strlen(request->id)))
        return complain(errors, "--id", "expected " COMPANY_ID_EXPECTED);
    if (request->expires && api_key_parse_expiry(request->expires, &expires_ms) < 0)
        return complain(errors, "--expires", "expected a time in UTC such as 2027-01-01T00:00:00Z");
    return 0;
}

/* Nothing in it needs escapes in JSON: that was checked. */
static void print_line(const struct request *request, const char *id, const unsigned char hash[API_KEY_HASH_BYTES],
                       FILE *output)
{
    char hex[2 * API_KEY_HASH_BYTES + 1];

    hex_format(hash, API_KEY_HASH_BYTES, hex);
    fprintf(output, "{\"id\":\"%s\",\"sha256\":\"%s\",\"companyId\":\"%s\"", id, hex, request->company);
    if (request->expires)
        fprintf(output, ",\"expires\":\"%s\"", request->expires);
    fputs("}\n", output);
}

int keygen_run(int argc, char **argv, FILE *output, FILE *errors)
{
    struct request request = {NULL, NULL, NULL};
    unsigned char hash[API_KEY_HASH_BYTES] = {0};
    char key[API_KEY_TEXT_SIZE];
    char id[API_KEY_ID_SIZE];
    int status = read_arguments(argc, argv, &request, errors);

    if (status == 0)
        status = check_request(&request, errors);
    if (status != 0)
        return status;
    status = api_key_generate_id(id);
    if (status == 0)
        status = api_key_generate(key);
    if (status == 0)
        status = api_key_hash(key, strlen(key), hash);
    if (status < 0) {
        fprintf(errors, "sluice keygen: %s\n", strerror(-status));
        return EXIT_FAILURE;
    }
    fprintf(output, "%s\n", key);
    print_line(&request, request.id ? request.id : id, hash, output);
    explicit_bzero(key, sizeof key);
    /* A key that did not get through is no key: nobody else has it. */
    if (fflush(output) != 0 || ferror(output)) {
        fputs("sluice keygen: the key could not be written\n", errors);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
