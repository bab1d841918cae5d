#include "replay/redis_url.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A part of the URL, percent-decoded, in memory of ours; NULL when it is not there. */
static int get_part(CURLU *url, CURLUPart part, char **ret_text)
{
    char *text;
    CURLUcode code = curl_url_get(url, part, &text, CURLU_URLDECODE);

    *ret_text = NULL;
    if (code == CURLUE_NO_USER || code == CURLUE_NO_PASSWORD || code == CURLUE_NO_PORT || code == CURLUE_NO_HOST)
        return 0;
    if (code != CURLUE_OK)
        return code == CURLUE_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
    *ret_text = strdup(text);
    curl_free(text);
    return *ret_text ? 0 : -ENOMEM;
}

static int copy_host(CURLU *url, struct redis_url *ret_url)
{
    char *host;
    size_t size;
    int status = get_part(url, CURLUPART_HOST, &host);

    if (status < 0)
        return status;
    size = host ? strlen(host) : 0;
    if (size > 2 && host[0] == '[' && host[size - 1] == ']')
        snprintf(ret_url->host, sizeof ret_url->host, "%.*s", (int)(size - 2), host + 1);
    else if (size > 0 && size < sizeof ret_url->host)
        strcpy(ret_url->host, host);
    else
        status = -EINVAL;
    free(host);
    return status;
}

static int copy_port(CURLU *url, struct redis_url *ret_url)
{
    char *port;
    int status = get_part(url, CURLUPART_PORT, &port);

    if (status == 0)
        snprintf(ret_url->port, sizeof ret_url->port, "%s", port ? port : "6379");
    free(port);
    return status;
}

static int copy_database(CURLU *url, struct redis_url *ret_url)
{
    char *path;
    char *end;
    long database;
    int status = get_part(url, CURLUPART_PATH, &path);

    if (status < 0)
        return status;
    database = path && path[0] == '/' && path[1] ? strtol(path + 1, &end, 10) : 0;
    if (path && path[0] == '/' && path[1] && (*end != '\0' || database < 0 || database > 1000000))
        status = -EINVAL;
    ret_url->database = (int)database;
    free(path);
    return status;
}

/* Parses what stands behind redis:// or rediss://; `text` is the whole. */
static int parse_server(const char *text, const char *authority, struct redis_url *ret_url)
{
    struct redis_url parsed = {.user = NULL};
    CURLU *url;
    int status = 0;

    /* libcurl takes redis:///3 for the host 3, and an encoded NUL would hide what stands behind it. */
    if (*authority == '/' || strstr(text, "%00"))
        return -EINVAL;
    url = curl_url();
    if (!url)
        return -ENOMEM;
    if (curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
        status = -EINVAL;
    if (status == 0)
        status = copy_host(url, &parsed);
    if (status == 0)
        status = copy_port(url, &parsed);
    if (status == 0)
        status = copy_database(url, &parsed);
    if (status == 0)
        status = get_part(url, CURLUPART_USER, &parsed.user);
    if (status == 0)
        status = get_part(url, CURLUPART_PASSWORD, &parsed.password);
    curl_url_cleanup(url);
    if (status < 0) {
        redis_url_release(&parsed);
        return status;
    }
    *ret_url = parsed;
    return 0;
}

/* A number without sign and white space, from 0 to 1000000. */
static int parse_database(const char *text, int *ret_database)
{
    size_t size = strspn(text, "0123456789");
    long database = size > 0 && size <= 7 && !text[size] ? strtol(text, NULL, 10) : -1;

    if (database < 0 || database > 1000000)
        return -EINVAL;
    *ret_database = (int)database;
    return 0;
}

/* Parses what stands behind unix://. User and password are those of a server's URL, so that both are read alike. */
static int parse_socket(const char *text, struct redis_url *ret_url)
{
    const char *path = strchr(text, '/');
    const char *query = strchr(text, '?');
    size_t size = path ? strcspn(path, "?") : 0;
    struct redis_url parsed;
    char *server;
    int database = 0;
    int status;

    if (size < 2 || size >= sizeof parsed.path || (path > text && path[-1] != '@') || strpbrk(path, "%#@ \t\r\n"))
        return -EINVAL;
    if (query && (strncmp(query, "?db=", 4) != 0 || parse_database(query + 4, &database) < 0))
        return -EINVAL;
    if (asprintf(&server, "redis://%.*slocalhost", (int)(path - text), text) < 0)
        return -ENOMEM;
    status = parse_server(server, server + strlen("redis://"), &parsed);
    explicit_bzero(server, strlen(server));
    free(server);
    if (status < 0)
        return status;
    parsed.database = database;
    memcpy(parsed.path, path, size);
    parsed.path[size] = '\0';
    *ret_url = parsed;
    return 0;
}

int redis_url_parse(const char *text, struct redis_url *ret_url)
{
    static const struct {
        const char *scheme;
        bool is_socket;
        bool secure;
    } kinds[] = {{"redis://", false, false},
                 {"rediss://", false, true},
                 {"unix://", true, false},
                 {"redis+unix://", true, false}};

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t size = strlen(kinds[i].scheme);
        int status;

        if (strncmp(text, kinds[i].scheme, size) != 0)
            continue;
        status = kinds[i].is_socket ? parse_socket(text + size, ret_url) : parse_server(text, text + size, ret_url);
        if (status == 0)
            ret_url->secure = kinds[i].secure;
        return status;
    }
    return -EINVAL;
}

void redis_url_release(struct redis_url *url)
{
    if (url->password)
        explicit_bzero(url->password, strlen(url->password));
    free(url->password);
    free(url->user);
    url->password = NULL;
    url->user = NULL;
}
