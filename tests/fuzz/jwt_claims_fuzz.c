#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "auth/jwt_claims.h"
#include "core/config_value.h"
#include "tests/fuzz/fuzz.h"

#define NOW_S INT64_C(1700000000)

enum { FIELDS = 8 };

/* Rules of the fields in the first line, which are parted by tabs. Returns the payload behind it, or NULL. */
static char *take_rules(char *text, struct jwt_rules *ret_rules)
{
    char *payload = strchr(text, '\n');
    const char *fields[FIELDS] = {"", "", "", "", "", "", "", ""};
    char *rest = text;

    if (!payload)
        return NULL;
    *payload++ = '\0';
    for (int i = 0; i < FIELDS && rest; i++)
        fields[i] = strsep(&rest, "\t");
    *ret_rules = (struct jwt_rules){.issuer = fields[0],
                                    .audience = fields[1],
                                    .company_claim = fields[2],
                                    .user_claim = fields[3],
                                    .session_claim = fields[4],
                                    .admin_claim = fields[5],
                                    .admin_value = fields[6],
                                    .exp_is_required = *fields[7] == 'e',
                                    .leeway_seconds = *fields[7] ? 60 : 0};
    return payload;
}

static void check_name(const char name[JWT_NAME_SIZE])
{
    MUST(memchr(name, '\0', JWT_NAME_SIZE) != NULL);
    for (; *name; name++)
        MUST((unsigned char)*name >= ' ' && *name != 0x7f);
}

/* What the program goes by holds, and the payload said so. */
static void check_claims(const struct jwt_rules *rules, const char *payload, size_t size,
                         const struct jwt_claims *claims)
{
    json_t *root = json_loadb(payload, size, JSON_REJECT_DUPLICATES, NULL);
    const json_t *expiry = json_object_get(root, "exp");

    MUST(json_is_object(root));
    MUST(claims->expires_at_s > NOW_S && (expiry || !rules->exp_is_required));
    MUST((claims->expires_at_s == INT64_MAX) == !expiry);
    MUST(!*rules->issuer || strcmp(json_string_value(json_object_get(root, "iss")), rules->issuer) == 0);
    MUST(!*rules->audience || json_object_get(root, "aud") != NULL);
    MUST(claims->company_count <= JWT_MAX_COMPANIES && (claims->company_count > 0 || claims->is_admin));
    MUST(claims->company_count == 0 || *rules->company_claim);
    MUST(!claims->is_admin || (*rules->admin_claim && *rules->admin_value));
    for (size_t i = 0; i < claims->company_count; i++) {
        MUST(config_is_company_id(claims->companies[i], strlen(claims->companies[i])));
        MUST(jwt_claims_has_company(claims, claims->companies[i]));
        MUST(memmem(payload, size, "\\u", 2) ||
             memmem(payload, size, claims->companies[i], strlen(claims->companies[i])));
    }
    check_name(claims->user);
    check_name(claims->session);
    check_name(claims->token_id);
    json_decref(root);
}

/* The input: issuer, audience, claims of company, user, session and admin, the admin's value and flags; then the payload. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct jwt_claims *claims = NULL;
    struct jwt_rules rules;
    char *payload = take_rules(text, &rules);
    enum jwt_reason reason;

    if (payload) {
        size_t payload_size = size - (size_t)(payload - text);

        reason = jwt_claims_read(&rules, payload, payload_size, NOW_S, &claims);
        MUST(reason < JWT_REASON_COUNT && (reason == JWT_OK) == (claims != NULL));
        if (claims)
            check_claims(&rules, payload, payload_size, claims);
        jwt_claims_unref(claims);
    }
    free(text);
    return 0;
}
