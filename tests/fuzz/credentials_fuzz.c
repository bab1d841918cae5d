#include <stdlib.h>
#include <string.h>

#include "http/credentials.h"
#include "http/request.h"
#include "tests/fuzz/fake_request.h"
#include "tests/fuzz/fuzz.h"

#define COOKIE_NAME "token"

static bool lies_in(const struct request_text *text, const char *part, size_t part_size)
{
    return text->text && part >= text->text && part + part_size <= text->text + text->size;
}

/* How often the cookie is there, counted in another way than credentials_find_cookie() does. */
static unsigned count_cookie(const struct request_text *header)
{
    char *copy = strdup(header->text);
    char *rest = copy;
    unsigned count = 0;

    MUST(copy != NULL);
    for (char *pair = strsep(&rest, ";"); pair; pair = strsep(&rest, ";")) {
        pair += strspn(pair, " \t");
        if (strncmp(pair, COOKIE_NAME "=", strlen(COOKIE_NAME "=")) == 0)
            count++;
    }
    free(copy);
    return count;
}

/* A cookie is sent by browsers unasked: it counts for pages that the settings name, and where it is there once. */
static void check_cookie(struct MHD_Connection *connection, const struct credential_places *places,
                         const struct credentials *found)
{
    struct request_text cookie = request_header(connection, MHD_HTTP_HEADER_COOKIE);
    struct request_text origin = request_header(connection, MHD_HTTP_HEADER_ORIGIN);
    struct request_text site = request_header(connection, "Sec-Fetch-Site");

    MUST(*places->cookie && cookie.count == 1 && count_cookie(&cookie) == 1);
    MUST(!memchr(found->token, ';', found->token_size));
    MUST(!request_header(connection, MHD_HTTP_HEADER_AUTHORIZATION).text);
    MUST(origin.count <= 1 && site.count <= 1);
    if (site.text && !strcmp(site.text, "same-origin"))
        return;
    MUST(!origin.text || (cors_varies(places->cors) && cors_allowed_origin(places->cors, origin.text)));
    MUST(origin.text || !site.text || !strcmp(site.text, "none"));
}

static void check_found(struct MHD_Connection *connection, const struct credential_places *places,
                        const struct credentials *found)
{
    struct request_text authorization = request_header(connection, MHD_HTTP_HEADER_AUTHORIZATION);
    struct request_text cookie = request_header(connection, MHD_HTTP_HEADER_COOKIE);
    struct request_text parameter = request_parameter(connection, "access_token");
    struct request_text key = request_header(connection, "x-api-key");

    MUST(key.count <= 1 && found->api_key == key.text && found->api_key_size == key.size);
    MUST(authorization.count <= 1 && (!parameter.text || (places->query && parameter.count == 1)));
    MUST(!authorization.text || strncasecmp(authorization.text, "Bearer ", 7) == 0);
    if (!found->token) {
        MUST(!authorization.text && !parameter.text);
        MUST(!*places->cookie || !cookie.text || count_cookie(&cookie) == 0);
    } else if (lies_in(&cookie, found->token, found->token_size)) {
        check_cookie(connection, places, found);
    } else if (authorization.text) {
        MUST(lies_in(&authorization, found->token, found->token_size));
    } else {
        MUST(lies_in(&parameter, found->token, found->token_size));
    }
}

static void check(struct MHD_Connection *connection, const char *origins, const char *cookie, bool query)
{
    struct cors *cors = cors_new(origins, true);
    struct credential_places places = {.cookie = cookie, .query = query, .cors = cors};
    struct credentials found;

    MUST(cors != NULL);
    if (credentials_read(connection, &places, &found) == CREDENTIALS_OK)
        check_found(connection, &places, &found);
    cors_free(cors);
}

/* The input: a query, and on each further line a header. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char named[] = "https://app.example.com,https://*.example.org";
    char *text = fuzz_text(data, size);
    struct MHD_Connection *connection = fake_request_new(text);

    check(connection, named, COOKIE_NAME, true);
    check(connection, named, COOKIE_NAME, false);
    check(connection, "*", COOKIE_NAME, false);
    check(connection, named, "", true);
    (void)request_is_ambiguous(connection);
    (void)request_has_body(connection);
    fake_request_free(connection);
    free(text);
    return 0;
}
