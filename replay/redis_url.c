#include "replay/redis_url.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USUAL_PORT "6379"
#define USUAL_SENTINEL_PORT "26379"

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

static int copy_host(CURLU *url, struct redis_endpoint *ret_server)
{
    char *host;
    size_t size;
    int status = get_part(url, CURLUPART_HOST, &host);

    if (status < 0)
        return status;
    size = host ? strlen(host) : 0;
    if (size > 2 && host[0] == '[' && host[size - 1] == ']')
        snprintf(ret_server->host, sizeof ret_server->host, "%.*s", (int)(size - 2), host + 1);
    else if (size > 0 && size < sizeof ret_server->host)
        strcpy(ret_server->host, host);
    else
        status = -EINVAL;
    free(host);
    return status;
}

static int copy_port(CURLU *url, const char *usual, struct redis_endpoint *ret_server)
{
    char *port;
    int status = get_part(url, CURLUPART_PORT, &port);

    if (status == 0)
        snprintf(ret_server->port, sizeof ret_server->port, "%s", port ? port : usual);
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

/* Parses a URL of one server, whose authority begins at that place of the text. */
static int parse_server(const char *text, const char *authority, const char *usual_port, struct redis_url *ret_url)
{
    struct redis_url parsed = {.server_count = 1};
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
        status = copy_host(url, &parsed.servers[0]);
    if (status == 0)
        status = copy_port(url, usual_port, &parsed.servers[0]);
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

    if (size < 2 || size >= sizeof parsed.servers[0].path || (path > text && path[-1] != '@') ||
        strpbrk(path, "%#@ \t\r\n"))
        return -EINVAL;
    if (query && (strncmp(query, "?db=", 4) != 0 || parse_database(query + 4, &database) < 0))
        return -EINVAL;
    if (asprintf(&server, "redis://%.*slocalhost", (int)(path - text), text) < 0)
        return -ENOMEM;
    status = parse_server(server, server + strlen("redis://"), USUAL_PORT, &parsed);
    explicit_bzero(server, strlen(server));
    free(server);
    if (status < 0)
        return status;
    parsed.database = database;
    memcpy(parsed.servers[0].path, path, size);
    parsed.servers[0].path[size] = '\0';
    *ret_url = parsed;
    return 0;
}

/* Takes over the next server of a list, with the credentials in front of all of them. */
static int add_server(const char *userinfo, size_t userinfo_size, const char *server, size_t size,
                      const char *usual_port, struct redis_url *url)
{
    struct redis_url parsed;
    char *text;
    int status;

    if (url->server_count == REDIS_SERVERS_MAX || size == 0)
        return -EINVAL;
    if (asprintf(&text, "redis://%.*s%.*s", (int)userinfo_size, userinfo, (int)size, server) < 0)
        return -ENOMEM;
    status = parse_server(text, text + strlen("redis://") + userinfo_size, usual_port, &parsed);
    explicit_bzero(text, strlen(text));
    free(text);
    if (status < 0)
        return status;
    url->servers[url->server_count++] = parsed.servers[0];
    if (url->server_count > 1) {
        redis_url_release(&parsed);
        return 0;
    }
    url->user = parsed.user;
    url->password = parsed.password;
    return 0;
}

/* Parses `[userinfo@]host[:port][,host[:port]...]`, of that size. */
static int parse_list(const char *text, size_t size, const char *usual_port, struct redis_url *ret_url)
{
    const char *at = memrchr(text, '@', size);
    size_t userinfo_size = at ? (size_t)(at + 1 - text) : 0;
    const char *end = text + size;
    int status = 0;

    for (const char *server = text + userinfo_size; status == 0 && server <= end;) {
        const char *comma = memchr(server, ',', (size_t)(end - server));
        size_t server_size = (size_t)((comma ? comma : end) - server);

        status = add_server(text, userinfo_size, server, server_size, usual_port, ret_url);
        server += server_size + 1;
    }
    return status;
}

/* `/master[/database]` */
static int parse_master(const char *path, struct redis_url *ret_url)
{
    /* What Sentinel allows in a name. */
    size_t size =
        *path == '/' ? strspn(path + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_") : 0;
    const char *behind = path + 1 + size;

    if (size == 0 || size >= sizeof ret_url->master)
        return -EINVAL;
    memcpy(ret_url->master, path + 1, size);
    ret_url->master[size] = '\0';
    if (*behind == '\0')
        return 0;
    return *behind == '/' ? parse_database(behind + 1, &ret_url->database) : -EINVAL;
}

/* Parses what stands behind redis+sentinel:// or redis+cluster://. */
static int parse_servers(const char *text, enum redis_topology topology, struct redis_url *ret_url)
{
    struct redis_url parsed = {.topology = topology};
    size_t size = strcspn(text, "/?#");
    int status = parse_list(text, size, topology == REDIS_SENTINEL ? USUAL_SENTINEL_PORT : USUAL_PORT, &parsed);

    if (status == 0 && topology == REDIS_SENTINEL)
        status = parse_master(text + size, &parsed);
    else if (status == 0 && text[size] != '\0' && strcmp(text + size, "/") != 0)
        status = -EINVAL;
    if (status < 0) {
        redis_url_release(&parsed);
        return status;
    }
    *ret_url = parsed;
    return 0;
}

int redis_url_parse(const char *text, struct redis_url *ret_url)
{
    static const struct {
        const char *scheme;
        enum { SERVER, SOCKET, SENTINEL, CLUSTER } kind;
        bool secure;
    } kinds[] = {{"redis://", SERVER, false},
                 {"rediss://", SERVER, true},
                 {"unix://", SOCKET, false},
                 {"redis+unix://", SOCKET, false},
                 {"redis+sentinel://", SENTINEL, false},
                 {"rediss+sentinel://", SENTINEL, true},
                 {"redis+cluster://", CLUSTER, false},
                 {"rediss+cluster://", CLUSTER, true}};

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t size = strlen(kinds[i].scheme);
        int status;

        if (strncmp(text, kinds[i].scheme, size) != 0)
            continue;
        if (kinds[i].kind == SERVER)
            status = parse_server(text, text + size, USUAL_PORT, ret_url);
        else if (kinds[i].kind == SOCKET)
            status = parse_socket(text + size, ret_url);
        else
            status = parse_servers(text + size, kinds[i].kind == SENTINEL ? REDIS_SENTINEL : REDIS_CLUSTER, ret_url);
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
