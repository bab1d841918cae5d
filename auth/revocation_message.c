#include "auth/revocation_message.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "auth/identity.h"
#include "core/config_value.h"

/* The members as they came; NULL: not there. */
struct members {
    const json_t *company;
    const json_t *user;
    const json_t *key;
    const json_t *token;
    const json_t *until;
};

static const json_t **find_member(struct members *members, const char *name)
{
    const struct {
        const char *name;
        const json_t **place;
    } known[] = {
        {"companyId", &members->company}, {"userId", &members->user}, {"keyId", &members->key},
        {"tokenId", &members->token},     {"until", &members->until},
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].name, name) == 0)
            return known[i].place;
    return NULL;
}

static const char *read_members(json_t *object, struct members *ret_members)
{
    const char *name;
    json_t *value;

    if (!json_is_object(object))
        return "is no JSON object, or has a member twice";
    json_object_foreach(object, name, value)
    {
        const json_t **place = find_member(ret_members, name);

        if (!place)
            return "has an unknown member (known: companyId, userId, keyId, tokenId, until)";
        *place = value;
    }
    return NULL;
}

/* Whose access it is. Which of them may stand together. */
static const char *choose_subject(const struct members *members, enum shared_subject *ret_subject)
{
    bool of_user = members->company || members->user;
    int count = of_user + (members->key != NULL) + (members->token != NULL);

    if (count != 1)
        return "must have one of companyId, userId, keyId and tokenId, or companyId and userId together";
    if (members->key)
        *ret_subject = SHARED_KEY;
    else if (members->token)
        *ret_subject = SHARED_TOKEN;
    else
        *ret_subject = members->user ? SHARED_USER : SHARED_COMPANY;
    return NULL;
}

/* A text that can be an id: the issuers of users and tokens choose theirs freely. The parser has seen to UTF-8 and NULs. */
static bool is_name(const json_t *value)
{
    const char *text = json_string_value(value);
    size_t size = json_string_length(value);

    if (!text || size == 0 || size > REVOCATION_NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == '\x7f')
            return false;
    return true;
}

static bool is_company(const json_t *value)
{
    const char *text = json_string_value(value);

    return text && config_is_company_id(text, json_string_length(value));
}

static const char *read_value(const struct members *members, char ret_value[REVOCATION_VALUE_SIZE])
{
    const json_t *name = members->user ? members->user : members->key ? members->key : members->token;

    if (members->company && !is_company(members->company))
        return "companyId is no company's id";
    if (name && !is_name(name))
        return "userId, keyId and tokenId must be texts of 1 to 128 bytes without control characters";
    if (members->user)
        (void)identity_user_name(members->company ? json_string_value(members->company) : "", json_string_value(name),
                                 ret_value, REVOCATION_VALUE_SIZE);
    else
        snprintf(ret_value, REVOCATION_VALUE_SIZE, "%s", json_string_value(name ? name : members->company));
    return NULL;
}

static const char *read_until(const json_t *value, int64_t now_ms, int64_t *ret_until_ms)
{
    int64_t until_ms = now_ms + REVOCATION_DEFAULT_MS;

    if (value && !json_is_integer(value))
        return "until must be a whole number: milliseconds since 1970";
    if (value)
        until_ms = json_integer_value(value);
    /* In seconds it would lie in the past: better refused than not in force. */
    if (until_ms <= now_ms)
        return "until lies in the past (it is in milliseconds)";
    if (until_ms > now_ms + REVOCATION_MAX_MS)
        return "until lies more than 366 days ahead (it is in milliseconds)";
    *ret_until_ms = until_ms;
    return NULL;
}

static const char *read_message(json_t *object, int64_t now_ms, struct revocation_message *ret_message)
{
    struct members members = {NULL};
    const char *problem = read_members(object, &members);

    if (!problem)
        problem = choose_subject(&members, &ret_message->subject);
    if (!problem)
        problem = read_value(&members, ret_message->value);
    if (!problem)
        problem = read_until(members.until, now_ms, &ret_message->until_ms);
    return problem;
}

int revocation_message_parse(const char *text, size_t size, int64_t now_ms, struct revocation_message *ret_message,
                             const char **ret_problem)
{
    struct revocation_message message = {0};
    const char *problem = "is too long: at most 4096 bytes";
    json_error_t error;
    json_t *object;

    if (size <= REVOCATION_MESSAGE_MAX_BYTES) {
        object = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
        if (!object && json_error_code(&error) == json_error_out_of_memory)
            return -ENOMEM;
        problem = read_message(object, now_ms, &message);
        json_decref(object);
    }
    if (problem) {
        *ret_problem = problem;
        return -EINVAL;
    }
    *ret_message = message;
    return 0;
}
