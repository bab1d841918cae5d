#include "auth/api_key.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <openssl/evp.h>

#include "auth/random_text.h"
#include "core/clock.h"
#include "core/config_value.h"
#include "core/event_filter.h"

enum { EVENT_MAX_BYTES = 64 };

/* 1973 to 9999: whatever lies in front was meant as seconds. */
#define EXPIRES_MIN_MS INT64_C(100000000000)
#define EXPIRES_MAX_MS INT64_C(253402300799999)

int api_key_generate(char ret_key[API_KEY_TEXT_SIZE])
{
    return random_text("slk_", ret_key);
}

int api_key_generate_id(char ret_id[API_KEY_ID_SIZE])
{
    strcpy(ret_id, "k_");
    return random_id(ret_id + 2);
}

int api_key_hash(const char *key, size_t size, unsigned char ret_hash[API_KEY_HASH_BYTES])
{
    if (size < API_KEY_MIN_BYTES || size > API_KEY_MAX_BYTES)
        return -EINVAL;
    for (size_t i = 0; i < size; i++)
        if (key[i] <= ' ' || key[i] > '~')
            return -EINVAL;
    return EVP_Digest(key, size, ret_hash, NULL, EVP_sha256(), NULL) == 1 ? 0 : -ENOMEM;
}

static const char *read_name(const json_t *value, const char *problem, char **ret_name)
{
    const char *text = json_string_value(value);

    if (!text || !config_is_company_id(text, json_string_length(value)))
        return problem;
    *ret_name = strdup(text);
    return NULL;
}

static const char *read_id(const json_t *value, struct api_key *key)
{
    return read_name(value, "id must be " COMPANY_ID_EXPECTED, &key->id);
}

static const char *read_company(const json_t *value, struct api_key *key)
{
    return read_name(value, "companyId is no company's id", &key->company);
}

static const char *read_hash(const json_t *value, struct api_key *key)
{
    const char *text = json_string_value(value);

    if (!text || hex_parse(text, json_string_length(value), key->hash, sizeof key->hash) < 0)
        return "sha256 must be 64 hexadecimal digits";
    return NULL;
}

/* The shape of 2027-01-01T00:00:00, with or without a fraction, and a Z. */
static bool is_rfc3339(const char *text)
{
    static const char shape[] = "0000-00-00T00:00:00";
    size_t digits;

    for (size_t i = 0; i < sizeof shape - 1; i++)
        if (shape[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != shape[i])
            return false;
    text += sizeof shape - 1;
    if (*text != '.')
        return strcmp(text, "Z") == 0;
    digits = strspn(text + 1, "0123456789");
    return digits > 0 && digits <= 9 && strcmp(text + 1 + digits, "Z") == 0;
}

int api_key_parse_expiry(const char *text, int64_t *ret_unix_ms)
{
    char again[CLOCK_RFC3339_SIZE];
    struct tm utc = {0};
    int64_t ms;

    if (!is_rfc3339(text))
        return -EINVAL;
    utc.tm_year = (int)strtol(text, NULL, 10) - 1900;
    utc.tm_mon = (int)strtol(text + 5, NULL, 10) - 1;
    utc.tm_mday = (int)strtol(text + 8, NULL, 10);
    utc.tm_hour = (int)strtol(text + 11, NULL, 10);
    utc.tm_min = (int)strtol(text + 14, NULL, 10);
    utc.tm_sec = (int)strtol(text + 17, NULL, 10);
    ms = (int64_t)timegm(&utc) * 1000;
    if (ms < EXPIRES_MIN_MS || ms > EXPIRES_MAX_MS)
        return -EINVAL;
    /* timegm() makes the 1st of March of the 30th of February. */
    clock_format_rfc3339(ms, again);
    if (strncmp(text, again, strlen("0000-00-00T00:00:00")) != 0)
        return -EINVAL;
    *ret_unix_ms = ms;
    return 0;
}

static const char *read_expires(const json_t *value, struct api_key *key)
{
    static const char problem[] = "expires must be a time such as \"2027-01-01T00:00:00Z\", or milliseconds since 1970";

    if (json_is_string(value))
        return api_key_parse_expiry(json_string_value(value), &key->expires_ms) == 0 ? NULL : problem;
    key->expires_ms = json_integer_value(value);
    return key->expires_ms >= EXPIRES_MIN_MS && key->expires_ms <= EXPIRES_MAX_MS ? NULL : problem;
}

static const char *read_max_connections(const json_t *value, struct api_key *key)
{
    key->max_connections = json_integer_value(value);
    if (key->max_connections >= 1 && key->max_connections <= API_KEY_MAX_CONNECTIONS)
        return NULL;
    return "maxConnections must be a whole number from 1 to 1000000";
}

static bool is_event_pattern(const char *text)
{
    return text && *text && strlen(text) <= EVENT_MAX_BYTES &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-*") == strlen(text);
}

static const char *read_events(const json_t *value, struct api_key *key)
{
    size_t count = json_array_size(value);

    /* None at all could be meant as "all" or as "none": better asked than guessed. */
    if (count < 1 || count > API_KEY_MAX_EVENTS)
        return "events must be a list of 1 to 32 names or patterns";
    key->events = calloc(count, sizeof *key->events);
    for (size_t i = 0; key->events && i < count; i++) {
        const char *pattern = json_string_value(json_array_get(value, i));

        if (!is_event_pattern(pattern))
            return "events must have names or patterns of 1 to 64 characters of A-Za-z0-9._:-*";
        key->events[key->event_count++] = strdup(pattern);
    }
    return NULL;
}

static const struct {
    const char *name;
    const char *(*read)(const json_t *value, struct api_key *key);
} members[] = {
    {"id", read_id},
    {"sha256", read_hash},
    {"companyId", read_company},
    {"expires", read_expires},
    {"maxConnections", read_max_connections},
    {"events", read_events},
};
enum { MEMBERS = sizeof members / sizeof members[0] };

/* Returns what is wrong, or NULL. What lacks for want of memory is seen by is_whole(). */
static const char *read_members(json_t *object, struct api_key *key)
{
    const char *problem = NULL;
    const char *name;
    json_t *value;

    if (!json_is_object(object))
        return "is no JSON object, or has a member twice";
    if (!json_object_get(object, "id") || !json_object_get(object, "sha256"))
        return "id and sha256 must be there";
    json_object_foreach(object, name, value)
    {
        size_t at = 0;

        while (at < MEMBERS && strcmp(name, members[at].name) != 0)
            at++;
        problem = at < MEMBERS
                      ? members[at].read(value, key)
                      : "has an unknown member (known: id, sha256, companyId, expires, maxConnections, events)";
        if (problem)
            return problem;
    }
    return NULL;
}

static bool is_whole(json_t *object, const struct api_key *key)
{
    if (!key->id || (json_object_get(object, "companyId") && !key->company))
        return false;
    if (json_object_get(object, "events") && !key->events)
        return false;
    for (size_t i = 0; i < key->event_count; i++)
        if (!key->events[i])
            return false;
    return true;
}

int api_key_parse(const char *line, size_t size, struct api_key *ret_key, const char **ret_problem)
{
    struct api_key key = {0};
    const char *problem = "is too long: at most 16384 bytes";
    json_t *object = NULL;
    int status = -EINVAL;

    if (size <= API_KEY_MAX_LINE_BYTES) {
        object = json_loadb(line, size, JSON_REJECT_DUPLICATES, NULL);
        problem = read_members(object, &key);
    }
    if (!problem)
        status = is_whole(object, &key) ? 0 : -ENOMEM;
    json_decref(object);
    if (status == 0) {
        *ret_key = key;
        return 0;
    }
    api_key_release(&key);
    if (status == -EINVAL)
        *ret_problem = problem;
    return status;
}

void api_key_release(struct api_key *key)
{
    for (size_t i = 0; i < key->event_count; i++)
        free(key->events[i]);
    free(key->events);
    free(key->company);
    free(key->id);
    memset(key, 0, sizeof *key);
}

bool api_key_is_expired(const struct api_key *key, int64_t now_unix_ms)
{
    return key->expires_ms != 0 && now_unix_ms >= key->expires_ms;
}

bool api_key_has_event(const struct api_key *key, const char *event)
{
    return event_filter_matches((const char *const *)key->events, key->event_count, event);
}
