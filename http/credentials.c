#include "http/credentials.h"

#include <string.h>
#include <strings.h>

#include "http/request.h"

static const char *trim_front(const char *text, const char *end)
{
    while (text < end && (*text == ' ' || *text == '\t'))
        text++;
    return text;
}

unsigned credentials_find_cookie(const char *header, size_t size, const char *name, const char **ret_value,
                                 size_t *ret_size)
{
    const char *end = header + size;
    size_t name_size = strlen(name);
    unsigned count = 0;

    while (header < end) {
        const char *pair = trim_front(header, end);
        const char *pair_end = pair;

        while (pair_end < end && *pair_end != ';')
            pair_end++;
        header = pair_end < end ? pair_end + 1 : end;
        while (pair_end > pair && (pair_end[-1] == ' ' || pair_end[-1] == '\t'))
            pair_end--;
        if ((size_t)(pair_end - pair) <= name_size || memcmp(pair, name, name_size) != 0 || pair[name_size] != '=')
            continue;
        if (count++ > 0)
            continue;
        *ret_value = pair + name_size + 1;
        *ret_size = (size_t)(pair_end - *ret_value);
    }
    return count;
}

/* Takes what stands behind `Bearer `. */
static enum credential_fault read_authorization(const struct request_text *header, struct credentials *credentials)
{
    static const char scheme[] = "Bearer ";
    const char *end = header->text + header->size;
    const char *token;

    if (header->count > 1)
        return CREDENTIALS_REPEATED;
    if (header->size < sizeof scheme - 1 || strncasecmp(header->text, scheme, sizeof scheme - 1) != 0)
        return CREDENTIALS_SCHEME;
    token = trim_front(header->text + sizeof scheme - 1, end);
    credentials->token = token;
    credentials->token_size = (size_t)(end - token);
    return CREDENTIALS_OK;
}

/*
 * Whether a page may use the cookie that its browser sends along unasked. Browsers say in Sec-Fetch-Site where a page comes
 * from, and no page can have it say something else; older ones send an Origin, but none with a GET of a page of our own.
 * `*` in CORS_ORIGINS names nobody.
 */
static bool is_trusted_page(struct MHD_Connection *connection, const struct cors *cors)
{
    struct request_text origin = request_header(connection, MHD_HTTP_HEADER_ORIGIN);
    struct request_text site = request_header(connection, "Sec-Fetch-Site");

    if (origin.count > 1 || site.count > 1)
        return false;
    if (site.text && strcmp(site.text, "same-origin") == 0)
        return true;
    if (origin.text)
        return cors_varies(cors) && cors_allowed_origin(cors, origin.text);
    return !site.text || strcmp(site.text, "none") == 0;
}

static enum credential_fault read_cookie(struct MHD_Connection *connection, const struct credential_places *places,
                                         struct credentials *credentials)
{
    struct request_text header = request_header(connection, MHD_HTTP_HEADER_COOKIE);
    unsigned count;

    if (!*places->cookie || !header.text)
        return CREDENTIALS_OK;
    count = credentials_find_cookie(header.text, header.size, places->cookie, &credentials->token,
                                    &credentials->token_size);
    /* A subdomain can set a second cookie of that name: which one is meant cannot be told. */
    if (header.count > 1 || count > 1)
        return CREDENTIALS_REPEATED;
    if (count == 1 && !is_trusted_page(connection, places->cors))
        return CREDENTIALS_FOREIGN_PAGE;
    return CREDENTIALS_OK;
}

static enum credential_fault read_query(struct MHD_Connection *connection, const struct credential_places *places,
                                        struct credentials *credentials)
{
    struct request_text token = request_parameter(connection, "access_token");

    if (!token.text)
        return CREDENTIALS_OK;
    if (!places->query)
        return CREDENTIALS_QUERY_DISABLED;
    if (token.count > 1)
        return CREDENTIALS_REPEATED;
    if (!credentials->token) {
        credentials->token = token.text;
        credentials->token_size = token.size;
    }
    return CREDENTIALS_OK;
}

enum credential_fault credentials_read(struct MHD_Connection *connection, const struct credential_places *places,
                                       struct credentials *ret_credentials)
{
    struct request_text authorization = request_header(connection, MHD_HTTP_HEADER_AUTHORIZATION);
    struct request_text key = request_header(connection, "x-api-key");
    enum credential_fault fault = CREDENTIALS_OK;

    *ret_credentials = (struct credentials){.api_key = key.text, .api_key_size = key.size};
    if (key.count > 1)
        return CREDENTIALS_REPEATED;
    if (authorization.text)
        fault = read_authorization(&authorization, ret_credentials);
    else
        fault = read_cookie(connection, places, ret_credentials);
    if (fault == CREDENTIALS_OK)
        fault = read_query(connection, places, ret_credentials);
    return fault;
}
