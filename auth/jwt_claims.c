#include "auth/jwt_claims.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_value.h"

/* The end of the year 9999: far enough, and leaves room to add a leeway and to count milliseconds. */
#define LATEST_S INT64_C(253402300799)

struct shared_claims {
    atomic_uint references;
    struct jwt_claims claims;
};

static struct shared_claims *shared(struct jwt_claims *claims)
{
    return (struct shared_claims *)(void *)((char *)claims - offsetof(struct shared_claims, claims));
}

struct jwt_claims *jwt_claims_ref(struct jwt_claims *claims)
{
    /* Relaxed: whoever takes a reference has one already. */
    if (claims)
        atomic_fetch_add_explicit(&shared(claims)->references, 1, memory_order_relaxed);
    return claims;
}

void jwt_claims_unref(struct jwt_claims *claims)
{
    /* Release and acquire: the last one frees after all others have read. */
    if (claims && atomic_fetch_sub_explicit(&shared(claims)->references, 1, memory_order_acq_rel) == 1)
        free(shared(claims));
}

bool jwt_claims_has_company(const struct jwt_claims *claims, const char *company)
{
    for (size_t i = 0; i < claims->company_count; i++)
        if (strcmp(claims->companies[i], company) == 0)
            return true;
    return false;
}

static struct jwt_claims *claims_new(size_t companies)
{
    struct shared_claims *made = calloc(1, sizeof *made + companies * JWT_COMPANY_SIZE);

    if (!made)
        return NULL;
    atomic_init(&made->references, 1);
    made->claims.company_count = companies;
    return &made->claims;
}

static bool is_asked(const char *text)
{
    return text && *text;
}

/* The claim of exactly that name, else what the dots lead to: https://example.org/company is a name too. */
static const json_t *find(const json_t *payload, const char *path)
{
    const json_t *at = json_object_get(payload, path);
    char name[256];

    if (at || strlen(path) >= sizeof name)
        return json_is_null(at) ? NULL : at;
    for (at = payload; at; path += *path == '.') {
        size_t size = strcspn(path, ".");

        memcpy(name, path, size);
        name[size] = '\0';
        at = json_object_get(at, name);
        path += size;
        if (!*path)
            break;
    }
    return json_is_null(at) ? NULL : at;
}

/* Unix time of a NumericDate; false for anything but a number from 0 on. */
static bool read_time(const json_t *value, int64_t *ret_seconds)
{
    double real = json_number_value(value);

    /* Also since a real number beyond those of an int64_t has no value there. */
    if (!json_is_number(value) || real < 0)
        return false;
    if (json_is_integer(value))
        *ret_seconds = json_integer_value(value) < LATEST_S ? json_integer_value(value) : LATEST_S;
    else
        *ret_seconds = real < (double)LATEST_S ? (int64_t)real : LATEST_S;
    return true;
}

static enum jwt_reason check_times(const struct jwt_rules *rules, const json_t *payload, int64_t now_s,
                                   int64_t *ret_expires_at_s)
{
    const json_t *expiry = json_object_get(payload, "exp");
    const json_t *start = json_object_get(payload, "nbf");
    const json_t *issued = json_object_get(payload, "iat");
    int64_t expires_at_s = INT64_MAX;
    int64_t at_s = 0;

    if (!expiry && rules->exp_is_required)
        return JWT_CLAIMS;
    if (expiry) {
        if (!read_time(expiry, &at_s))
            return JWT_CLAIMS;
        expires_at_s = at_s + rules->leeway_seconds;
    }
    if (now_s >= expires_at_s)
        return JWT_EXPIRED;
    if (start && !read_time(start, &at_s))
        return JWT_CLAIMS;
    if (start && at_s - rules->leeway_seconds > now_s)
        return JWT_NOT_YET_VALID;
    if (issued && !read_time(issued, &at_s))
        return JWT_CLAIMS;
    if (issued && at_s - rules->leeway_seconds > now_s)
        return JWT_NOT_YET_VALID;
    *ret_expires_at_s = expires_at_s;
    return JWT_OK;
}

static bool is_text(const json_t *value, const char *text)
{
    return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

/* Whether the value is the text, or an array that holds it. */
static bool is_or_holds(const json_t *value, const char *text)
{
    if (is_text(value, text))
        return true;
    for (size_t i = 0; i < json_array_size(value); i++)
        if (is_text(json_array_get(value, i), text))
            return true;
    return false;
}

static bool is_admin(const struct jwt_rules *rules, const json_t *payload)
{
    const json_t *value = is_asked(rules->admin_claim) ? find(payload, rules->admin_claim) : NULL;

    if (!value || !is_asked(rules->admin_value))
        return false;
    return is_or_holds(value, rules->admin_value) || (json_is_true(value) && strcmp(rules->admin_value, "true") == 0);
}

/* No C0 or C1 controls and no DEL: the text goes into logs. jansson has seen to it that it is UTF-8 without NUL. */
static bool is_printable(const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at; at++)
        if (*at < ' ' || *at == 0x7f || (*at == 0xc2 && at[1] < 0xa0))
            return false;
    return true;
}

/* Reads a name, or nothing where there is none. */
static bool read_name(const json_t *value, char ret_name[JWT_NAME_SIZE])
{
    if (!value)
        return true;
    if (json_is_integer(value)) {
        snprintf(ret_name, JWT_NAME_SIZE, "%" PRId64, (int64_t)json_integer_value(value));
        return true;
    }
    if (!json_is_string(value) || json_string_length(value) >= JWT_NAME_SIZE || !is_printable(json_string_value(value)))
        return false;
    memcpy(ret_name, json_string_value(value), json_string_length(value) + 1);
    return true;
}

static bool read_names(const struct jwt_rules *rules, const json_t *payload, struct jwt_claims *claims)
{
    const json_t *user = is_asked(rules->user_claim) ? find(payload, rules->user_claim) : NULL;
    const json_t *session = is_asked(rules->session_claim) ? find(payload, rules->session_claim) : NULL;

    return read_name(user, claims->user) && read_name(session, claims->session) &&
           read_name(find(payload, "jti"), claims->token_id);
}

/* The claim's strings: itself, or those of its array. */
static const json_t *company_at(const json_t *value, size_t index)
{
    return json_is_array(value) ? json_array_get(value, index) : value;
}

static bool read_companies(const json_t *value, struct jwt_claims *claims)
{
    for (size_t i = 0; i < claims->company_count; i++) {
        const json_t *company = company_at(value, i);

        if (!json_is_string(company) || !config_is_company_id(json_string_value(company), json_string_length(company)))
            return false;
        memcpy(claims->companies[i], json_string_value(company), json_string_length(company) + 1);
    }
    return true;
}

static enum jwt_reason read_identity(const struct jwt_rules *rules, const json_t *payload, int64_t expires_at_s,
                                     struct jwt_claims **ret_claims)
{
    const json_t *companies = is_asked(rules->company_claim) ? find(payload, rules->company_claim) : NULL;
    size_t count = json_is_array(companies) ? json_array_size(companies) : companies != NULL;
    struct jwt_claims *claims;

    if (count > JWT_MAX_COMPANIES || (count == 0 && !is_admin(rules, payload)))
        return JWT_CLAIMS;
    claims = claims_new(count);
    if (!claims)
        return JWT_NO_MEMORY;
    claims->expires_at_s = expires_at_s;
    claims->is_admin = is_admin(rules, payload);
    if (!read_companies(companies, claims) || !read_names(rules, payload, claims)) {
        jwt_claims_unref(claims);
        return JWT_CLAIMS;
    }
    *ret_claims = claims;
    return JWT_OK;
}

static enum jwt_reason read_payload(const struct jwt_rules *rules, const json_t *payload, int64_t now_s,
                                    struct jwt_claims **ret_claims)
{
    int64_t expires_at_s = 0;
    enum jwt_reason reason = check_times(rules, payload, now_s, &expires_at_s);

    if (reason != JWT_OK)
        return reason;
    if (is_asked(rules->issuer) && !is_text(json_object_get(payload, "iss"), rules->issuer))
        return JWT_ISSUER;
    if (is_asked(rules->audience) && !is_or_holds(json_object_get(payload, "aud"), rules->audience))
        return JWT_AUDIENCE;
    return read_identity(rules, payload, expires_at_s, ret_claims);
}

enum jwt_reason jwt_claims_read(const struct jwt_rules *rules, const char *payload, size_t size, int64_t now_s,
                                struct jwt_claims **ret_claims)
{
    /* Of a claim that stands there twice, different readers would take different ones. */
    json_t *root = json_loadb(payload, size, JSON_REJECT_DUPLICATES, NULL);
    enum jwt_reason reason = json_is_object(root) ? read_payload(rules, root, now_s, ret_claims) : JWT_MALFORMED;

    json_decref(root);
    return reason;
}
