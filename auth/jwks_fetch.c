#include "auth/jwks_fetch.h"

#include <curl/curl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/key_set.h"

enum { ETAG_SIZE = 256, MAX_REDIRECTS = 3 };

struct jwks_fetch {
    CURLM *multi;
    CURL *easy;
    struct buffer body;
    char received_etag[ETAG_SIZE]; /* of the last answer */
    char accepted_etag[ETAG_SIZE];
    char curl_error[CURL_ERROR_SIZE];
    char error[CURL_ERROR_SIZE + 64];
    /* Set by another thread; sequentially consistent, since that thread then wakes this one. */
    atomic_bool is_cancelled;
    bool has_global;
};

static size_t receive(char *bytes, size_t size, size_t count, void *context)
{
    struct jwks_fetch *fetch = context;

    buffer_append(&fetch->body, bytes, size * count);
    return fetch->body.failed ? 0 : size * count;
}

static bool set_options(struct jwks_fetch *fetch, const char *url, const struct jwks_fetch_limits *limits)
{
    /* A redirect must not lead from https to http, nor to another scheme altogether. */
    const char *schemes = strncasecmp(url, "https://", 8) == 0 ? "https" : "http";
    CURL *easy = fetch->easy;

    return curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, schemes) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, schemes) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)MAX_REDIRECTS) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, limits->connect_timeout_ms) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, limits->timeout_ms) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           /* Freeing must not wait for a name that is being resolved. */
           curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USERAGENT, "sluice/" SLUICE_VERSION) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, fetch->curl_error) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, receive) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch) == CURLE_OK;
}

struct jwks_fetch *jwks_fetch_new(const char *url, const struct jwks_fetch_limits *limits)
{
    struct jwks_fetch *fetch = calloc(1, sizeof *fetch);

    if (!fetch)
        return NULL;
    fetch->body = buffer_make(KEY_SET_MAX_BYTES);
    atomic_init(&fetch->is_cancelled, false);
    fetch->has_global = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    if (fetch->has_global) {
        fetch->multi = curl_multi_init();
        fetch->easy = curl_easy_init();
    }
    if (!fetch->multi || !fetch->easy || !set_options(fetch, url, limits)) {
        jwks_fetch_free(fetch);
        return NULL;
    }
    return fetch;
}

void jwks_fetch_free(struct jwks_fetch *fetch)
{
    if (!fetch)
        return;
    curl_easy_cleanup(fetch->easy);
    curl_multi_cleanup(fetch->multi);
    if (fetch->has_global)
        curl_global_cleanup();
    buffer_release(&fetch->body);
    free(fetch);
}

/* Runs the request to its end. Returns CURLE_ABORTED_BY_CALLBACK when cancelled. */
static CURLcode transfer(struct jwks_fetch *fetch)
{
    for (;;) {
        int running = 0;
        int left;
        const CURLMsg *message;

        if (atomic_load(&fetch->is_cancelled))
            return CURLE_ABORTED_BY_CALLBACK;
        if (curl_multi_perform(fetch->multi, &running) != CURLM_OK)
            return CURLE_OUT_OF_MEMORY;
        while ((message = curl_multi_info_read(fetch->multi, &left)))
            if (message->msg == CURLMSG_DONE)
                return message->data.result;
        /* A wake-up that came before is kept: a cancellation just now ends the wait at once. */
        if (curl_multi_poll(fetch->multi, NULL, 0, 1000, NULL) != CURLM_OK)
            return CURLE_OUT_OF_MEMORY;
    }
}

/* The last header of that name in the last answer, or NULL. */
static const char *header_of(struct jwks_fetch *fetch, const char *name)
{
    struct curl_header *header;

    return curl_easy_header(fetch->easy, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK ? header->value : NULL;
}

/* max-age of Cache-Control; no-store and no-cache count as 0. */
static int64_t read_max_age(const char *value)
{
    int64_t max_age_s = -1;

    while (value && *value) {
        value += strspn(value, " \t,");
        if (strncasecmp(value, "no-store", 8) == 0 || strncasecmp(value, "no-cache", 8) == 0)
            return 0;
        if (strncasecmp(value, "max-age=", 8) == 0 && value[8] >= '0' && value[8] <= '9')
            max_age_s = strtoll(value + 8, NULL, 10);
        value += strcspn(value, ",");
    }
    return max_age_s;
}

/* An ETag goes back as it came: what could break the request's head is not kept. */
static void keep_etag(struct jwks_fetch *fetch, const char *etag)
{
    bool is_fit = etag && strlen(etag) < ETAG_SIZE;

    for (const char *at = etag; is_fit && *at; at++)
        is_fit = (unsigned char)*at >= ' ' && *at != 0x7f;
    snprintf(fetch->received_etag, ETAG_SIZE, "%s", is_fit ? etag : "");
}

static enum jwks_fetch_result fail(struct jwks_fetch *fetch, struct jwks_answer *ret_answer, const char *error)
{
    snprintf(fetch->error, sizeof fetch->error, "%s", error);
    ret_answer->error = fetch->error;
    return JWKS_FAILED;
}

static enum jwks_fetch_result judge(struct jwks_fetch *fetch, CURLcode code, struct jwks_answer *ret_answer)
{
    char text[64];
    long status = 0;

    *ret_answer = (struct jwks_answer){.max_age_s = -1};
    if (atomic_load(&fetch->is_cancelled))
        return JWKS_CANCELLED;
    if (fetch->body.failed)
        return fail(fetch, ret_answer, "the answer is larger than 256 KB");
    if (code != CURLE_OK)
        return fail(fetch, ret_answer, *fetch->curl_error ? fetch->curl_error : curl_easy_strerror(code));
    curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
    ret_answer->max_age_s = read_max_age(header_of(fetch, "Cache-Control"));
    if (status == 304 && *fetch->accepted_etag)
        return JWKS_UNCHANGED;
    if (status != 200) {
        snprintf(text, sizeof text, "the answer has the status %ld instead of 200", status);
        return fail(fetch, ret_answer, text);
    }
    keep_etag(fetch, header_of(fetch, "ETag"));
    ret_answer->body = fetch->body.data ? fetch->body.data : "";
    ret_answer->size = fetch->body.size;
    return JWKS_FETCHED;
}

/* Fewer headers than wished for, should memory run out: the request is good without them. */
static struct curl_slist *request_headers(const struct jwks_fetch *fetch)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/jwk-set+json, application/json");
    char line[ETAG_SIZE + 32];
    struct curl_slist *longer = NULL;

    if (*fetch->accepted_etag) {
        snprintf(line, sizeof line, "If-None-Match: %s", fetch->accepted_etag);
        longer = curl_slist_append(headers, line);
    }
    return longer ? longer : headers;
}

enum jwks_fetch_result jwks_fetch_run(struct jwks_fetch *fetch, struct jwks_answer *ret_answer)
{
    struct curl_slist *headers = request_headers(fetch);
    enum jwks_fetch_result result;
    CURLcode code = CURLE_OUT_OF_MEMORY;

    buffer_clear(&fetch->body);
    *fetch->curl_error = '\0';
    *fetch->received_etag = '\0';
    curl_easy_setopt(fetch->easy, CURLOPT_HTTPHEADER, headers);
    if (curl_multi_add_handle(fetch->multi, fetch->easy) == CURLM_OK) {
        code = transfer(fetch);
        curl_multi_remove_handle(fetch->multi, fetch->easy);
    }
    result = judge(fetch, code, ret_answer);
    curl_easy_setopt(fetch->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    return result;
}

void jwks_fetch_accept(struct jwks_fetch *fetch)
{
    memcpy(fetch->accepted_etag, fetch->received_etag, ETAG_SIZE);
}

void jwks_fetch_cancel(struct jwks_fetch *fetch)
{
    atomic_store(&fetch->is_cancelled, true);
    curl_multi_wakeup(fetch->multi);
}
