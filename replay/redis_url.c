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

int redis_url_parse(const char *text, struct redis_url *ret_url)
{
    struct redis_url parsed = {.user = NULL};
    CURLU *url;
    int status = 0;

    /* libcurl takes redis:///3 for the host 3, and an encoded NUL would hide what stands behind it. */
    if (strncmp(text, "redis://", 8) != 0 || text[8] == '/' || strstr(text, "%00"))
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

void redis_url_release(struct redis_url *url)
{
    if (url->password)
        explicit_bzero(url->password, strlen(url->password));
    free(url->password);
    free(url->user);
    url->password = NULL;
    url->user = NULL;
}
