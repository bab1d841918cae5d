#include "auth/auth.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/api_keys.h"
#include "auth/jwt.h"
#include "auth/key_source.h"
#include "auth/token_cache.h"
#include "core/clock.h"
#include "core/config_value.h"

enum { KEYS_RETRY_SECONDS = 2 };

struct auth {
    const struct config *config;
    bool takes_tokens;
    bool takes_keys;
    bool keys_in_redis;
    struct jwt_rules rules;
    struct key_source *key_source;
    struct api_keys *api_keys;
    void (*changed)(void *context);
    void *context;
    pthread_mutex_t lock; /* guards the cache */
    struct token_cache *cache;
};

/* Refusing. */

static int refuse_for_now(struct refusal *ret_refusal, const char *message)
{
    return refusal_set_for_now(ret_refusal, "keys_unknown", message, KEYS_RETRY_SECONDS);
}

static int refuse_missing(const struct auth *auth, struct refusal *ret_refusal)
{
    const char *message = "Credentials are required: send an API key in x-api-key";

    if (auth->takes_tokens && auth->takes_keys)
        message = "Credentials are required: send Authorization: Bearer <token>, a ticket, or an API key in x-api-key";
    else if (auth->takes_tokens)
        message = "Credentials are required: send Authorization: Bearer <token>, or a ticket of POST /stream/ticket";
    return refusal_set(ret_refusal, 401, "no_credentials", message);
}

static int refuse_company(struct refusal *ret_refusal)
{
    return refusal_set(ret_refusal, 403, "other_company", "You can only stream events for your own company");
}

/* Companies. */

static bool has_company(const struct auth_request *request)
{
    return request->company && request->company_size > 0;
}

/* Reads the company that was asked for. Returns 0 or -EACCES. */
static int read_company(const struct auth_request *request, char ret_company[IDENTITY_TEXT_SIZE],
                        struct refusal *ret_refusal)
{
    if (!has_company(request))
        return refusal_set(ret_refusal, 400, "no_company", "companyId is required: add ?companyId=<id> to the URL");
    if (!config_is_company_id(request->company, request->company_size))
        return refusal_set(
            ret_refusal, 400, "bad_company",
            "companyId is malformed: it must be 1 to 128 characters of A-Za-z0-9._:- and begin with a letter "
            "or a digit");
    memcpy(ret_company, request->company, request->company_size);
    ret_company[request->company_size] = '\0';
    return 0;
}

bool auth_is_own_company(const struct identity *identity, const char *company, size_t size, struct refusal *ret_refusal)
{
    if (!company || size == 0 || (strlen(identity->company) == size && memcmp(identity->company, company, size) == 0))
        return true;
    (void)refuse_company(ret_refusal);
    return false;
}

/* The end of identifying somebody. Returns 0; or -EACCES: there is no memory for who that is. */
static int answer(const struct identity *who, struct identity **ret_identity, struct refusal *ret_refusal)
{
    *ret_identity = identity_new(who);
    return *ret_identity ? 0 : refuse_for_now(ret_refusal, "The server is out of memory; try again later");
}

/* Tokens. */

/* Why a token is refused. */
struct fault {
    enum jwt_reason reason;
    bool has_keys; /* there were any to verify it with */
};

/* Verifies the token, or remembers that it did. Returns its claims, or NULL and why not. */
static struct jwt_claims *verify(struct auth *auth, const char *token, size_t size, struct fault *ret_fault)
{
    struct key_set *keys = key_source_get(auth->key_source);
    int64_t now_s = clock_unix_ms() / 1000;
    struct jwt_claims *claims = NULL;
    struct token_key key;
    bool has_key;

    *ret_fault = (struct fault){.reason = JWT_UNKNOWN_KEY, .has_keys = keys != NULL};
    if (!keys)
        return NULL;
    /* Outside the lock, which others wait for. */
    has_key = token_cache_key(auth->cache, keys, token, size, &key) == 0;
    if (has_key) {
        pthread_mutex_lock(&auth->lock);
        claims = token_cache_get(auth->cache, &key, now_s);
        pthread_mutex_unlock(&auth->lock);
    }
    if (!claims) {
        ret_fault->reason = jwt_verify(&auth->rules, keys, token, size, now_s, &claims);
        if (ret_fault->reason == JWT_OK && has_key) {
            pthread_mutex_lock(&auth->lock);
            token_cache_put(auth->cache, &key, claims);
            pthread_mutex_unlock(&auth->lock);
        }
    }
    key_set_unref(keys);
    return claims;
}

static int refuse_token(struct auth *auth, const struct fault *fault, struct refusal *ret_refusal)
{
    if (fault->reason == JWT_UNKNOWN_KEY)
        key_source_ask_refresh(auth->key_source);
    if (fault->reason == JWT_NO_MEMORY)
        return refuse_for_now(ret_refusal, "The server has no memory to verify the token; try again later");
    if (!fault->has_keys)
        return refuse_for_now(ret_refusal, "The keys that tokens are verified with are not known yet; try again later");
    return refusal_set(ret_refusal, 401, jwt_reason_name(fault->reason), jwt_reason_message(fault->reason));
}

/* When the stream of a token ends; 0: never. */
static int64_t find_end(const struct auth *auth, const struct jwt_claims *claims)
{
    int64_t expires_ms;

    if (claims->expires_at_s == INT64_MAX)
        return 0;
    /* The leeway is for clocks that differ: it lets a token in, but does not prolong what is there. */
    expires_ms = (claims->expires_at_s - auth->config->jwt_leeway_seconds) * 1000;
    return expires_ms > clock_unix_ms() ? expires_ms : claims->expires_at_s * 1000;
}

/* Whom the claims name, in texts of theirs. */
static struct identity read_claims(const struct auth *auth, const struct jwt_claims *claims)
{
    return (struct identity){.user = claims->user,
                             .session = claims->session,
                             .token_id = claims->token_id,
                             .expires_ms = find_end(auth, claims)};
}

/* The company among those of the token. */
static int choose_company(const struct jwt_claims *claims, const struct auth_request *request,
                          char ret_company[IDENTITY_TEXT_SIZE], struct refusal *ret_refusal)
{
    if (!has_company(request) && claims->company_count == 1) {
        strcpy(ret_company, claims->companies[0]);
        return 0;
    }
    if (read_company(request, ret_company, ret_refusal) < 0)
        return -EACCES;
    if (claims->is_admin || jwt_claims_has_company(claims, ret_company))
        return 0;
    return refuse_company(ret_refusal);
}

static int identify_by_token(struct auth *auth, const struct auth_request *request, struct identity **ret_identity,
                             struct refusal *ret_refusal)
{
    struct fault fault;
    struct jwt_claims *claims = verify(auth, request->token, request->token_size, &fault);
    char company[IDENTITY_TEXT_SIZE] = "";
    struct identity who;
    int status;

    if (!claims)
        return refuse_token(auth, &fault, ret_refusal);
    who = read_claims(auth, claims);
    status = choose_company(claims, request, company, ret_refusal);
    who.company = company;
    /* Who is refused is known, too. */
    if (answer(&who, ret_identity, ret_refusal) < 0)
        status = -EACCES;
    jwt_claims_unref(claims);
    return status;
}

/* API keys. */

static int admit_key(const struct api_key *key, struct identity **ret_identity, struct refusal *ret_refusal)
{
    struct identity who;
    int status;

    if (!key)
        return refusal_set(ret_refusal, 401, "unknown_api_key", "The API key is not known");
    if (api_key_is_expired(key, clock_unix_ms()))
        return refusal_set(ret_refusal, 401, "expired_api_key", "The API key has expired");
    if (!key->company)
        return refusal_set(ret_refusal, 403, "key_without_company", "The API key belongs to no company");
    who = (struct identity){
        .company = key->company, .key_id = key->id, .key_hash = key->hash, .expires_ms = key->expires_ms};
    if (key->event_count > 0) {
        who.filter = event_filter_new((const char *const *)key->events, key->event_count);
        if (!who.filter)
            return refuse_for_now(ret_refusal, "The server is out of memory; try again later");
    }
    status = answer(&who, ret_identity, ret_refusal);
    event_filter_unref(who.filter);
    return status;
}

static int identify_by_key(struct auth *auth, const struct auth_request *request, struct identity **ret_identity,
                           struct refusal *ret_refusal)
{
    struct api_key_set *set = api_keys_current(auth->api_keys);
    int status;

    if (!set)
        return refuse_for_now(ret_refusal, "The API keys are not known yet; try again later");
    status = admit_key(api_key_set_find(set, request->api_key, request->api_key_size), ret_identity, ret_refusal);
    api_key_set_unref(set);
    if (status < 0 || !*ret_identity)
        return -EACCES;
    return auth_is_own_company(*ret_identity, request->company, request->company_size, ret_refusal) ? 0 : -EACCES;
}

/* Whether the key still may all that it might when the identity was made, and for as long. */
static bool may_as_before(const struct api_key *key, const struct identity *identity)
{
    if (key->expires_ms != 0 && (identity->expires_ms == 0 || key->expires_ms < identity->expires_ms))
        return false;
    if (key->event_count == 0)
        return true;
    if (key->event_count != event_filter_count(identity->filter))
        return false;
    for (size_t i = 0; i < key->event_count; i++)
        if (strcmp(key->events[i], event_filter_pattern(identity->filter, i)) != 0)
            return false;
    return true;
}

bool auth_keeps(struct auth *auth, const struct identity *identity)
{
    struct api_key_set *set;
    bool keeps;

    if (!identity->key_hash || !auth->takes_keys)
        return true;
    set = api_keys_current(auth->api_keys);
    keeps = !set || (api_key_set_keeps(set, identity->key_id, identity->key_hash, identity->company, clock_unix_ms()) &&
                     may_as_before(api_key_set_find_id(set, identity->key_id), identity));
    api_key_set_unref(set);
    return keeps;
}

int64_t auth_key_max(struct auth *auth, const struct identity *identity)
{
    struct api_key_set *set;
    const struct api_key *key;
    int64_t max;

    if (!identity->key_hash || !auth->takes_keys)
        return 0;
    set = api_keys_current(auth->api_keys);
    key = set ? api_key_set_find_id(set, identity->key_id) : NULL;
    max = key ? key->max_connections : 0;
    api_key_set_unref(set);
    return max;
}

void auth_take_keys(struct auth *auth, const struct api_key_line *lines, size_t count)
{
    if (auth->keys_in_redis)
        api_keys_take(auth->api_keys, lines, count);
}

/* Asking. */

static bool is_open(const struct auth *auth)
{
    return !auth->takes_tokens && !auth->takes_keys;
}

/* Without credentials: whoever asks for a company gets it. */
static int identify_openly(const struct auth_request *request, struct identity **ret_identity,
                           struct refusal *ret_refusal)
{
    char company[IDENTITY_TEXT_SIZE];

    if (read_company(request, company, ret_refusal) < 0)
        return -EACCES;
    return answer(&(struct identity){.company = company}, ret_identity, ret_refusal);
}

int auth_identify(struct auth *auth, const struct auth_request *request, struct identity **ret_identity,
                  struct refusal *ret_refusal)
{
    bool by_token = auth->takes_tokens && request->token;
    bool by_key = auth->takes_keys && request->api_key;

    *ret_identity = NULL;
    if (is_open(auth))
        return identify_openly(request, ret_identity, ret_refusal);
    if (by_token && by_key)
        return refusal_set(ret_refusal, 400, "two_credentials", "Send a token or an API key, not both");
    if (by_token)
        return identify_by_token(auth, request, ret_identity, ret_refusal);
    if (by_key)
        return identify_by_key(auth, request, ret_identity, ret_refusal);
    return refuse_missing(auth, ret_refusal);
}

static bool is_admin_key(const struct auth *auth, const struct auth_request *request)
{
    const char *key = auth->config->admin_key;

    return *key && request->token && request->token_size == strlen(key) &&
           CRYPTO_memcmp(request->token, key, request->token_size) == 0;
}

/* The administrator by token, as claims; NULL: it is none. */
static struct jwt_claims *find_admin(struct auth *auth, const struct auth_request *request)
{
    struct fault fault;
    struct jwt_claims *claims = NULL;

    if (auth->takes_tokens && request->token)
        claims = verify(auth, request->token, request->token_size, &fault);
    if (claims && claims->is_admin)
        return claims;
    jwt_claims_unref(claims);
    return NULL;
}

int auth_find_scope(struct auth *auth, const struct auth_request *request, struct auth_scope *ret_scope,
                    struct identity **ret_identity, struct refusal *ret_refusal)
{
    struct jwt_claims *admin;

    *ret_scope = (struct auth_scope){.is_admin = true};
    *ret_identity = NULL;
    if ((is_open(auth) && !*auth->config->admin_key) || is_admin_key(auth, request))
        return 0;
    admin = find_admin(auth, request);
    if (admin) {
        struct identity who = read_claims(auth, admin);
        int status = answer(&who, ret_identity, ret_refusal);

        jwt_claims_unref(admin);
        return status;
    }
    if (is_open(auth))
        return refusal_set(ret_refusal, 401, "no_credentials", "Send Authorization: Bearer <ADMIN_KEY>");
    ret_scope->is_admin = false;
    if (auth_identify(auth, request, ret_identity, ret_refusal) < 0 || !*ret_identity)
        return -EACCES;
    strcpy(ret_scope->company, (*ret_identity)->company);
    return 0;
}

const char *auth_challenge(const struct auth *auth)
{
    return auth->takes_tokens || *auth->config->admin_key ? "Bearer realm=\"sluice\"" : "ApiKey realm=\"sluice\"";
}

/* Making. */

static struct jwt_rules make_rules(const struct config *config)
{
    return (struct jwt_rules){.algorithms = algorithm_set_of(config->jwt_algorithms),
                              .issuer = config->jwt_issuer,
                              .audience = config->jwt_audience,
                              .leeway_seconds = config->jwt_leeway_seconds,
                              .exp_is_required = config->jwt_require_exp,
                              .company_claim = config->jwt_company_claim,
                              .user_claim = config->jwt_user_claim,
                              .session_claim = config->jwt_session_claim,
                              .admin_claim = config->jwt_admin_claim,
                              .admin_value = config->jwt_admin_value};
}

/* Where the keys of tokens come from. */
struct token_keys {
    const char *name; /* of the setting */
    enum key_source_kind kind;
    const char *where;
};

/* The settings allow one source. */
static struct token_keys find_token_keys(const struct config *config)
{
    const struct token_keys sources[] = {
        {"JWT_SECRET", KEY_SOURCE_SECRET, config->jwt_secret},
        {"JWT_SECRET_FILE", KEY_SOURCE_SECRET_FILE, config->jwt_secret_file},
        {"JWT_PUBLIC_KEY_FILE", KEY_SOURCE_PEM_FILE, config->jwt_public_key_file},
        {"JWT_JWKS_FILE", KEY_SOURCE_JWKS_FILE, config->jwt_jwks_file},
        {"JWT_JWKS_URL", KEY_SOURCE_JWKS_URL, config->jwt_jwks_url},
    };
    size_t at = 0;

    while (!*sources[at].where)
        at++;
    return sources[at];
}

/* Names the file. A secret is not repeated, nor a URL, which may hold a password. */
static void report_keys(const struct token_keys *keys, const struct key_error *error, struct buffer *errors)
{
    if (keys->kind == KEY_SOURCE_SECRET || keys->kind == KEY_SOURCE_JWKS_URL)
        buffer_printf(errors, "%s: %s\n", keys->name, error->text);
    else
        buffer_printf(errors, "%s: %s: %s\n", keys->name, keys->where, error->text);
}

static int make_token_parts(struct auth *auth, const struct auth_options *options, struct buffer *errors)
{
    struct token_keys keys = find_token_keys(options->config);
    struct key_error error;

    auth->rules = make_rules(options->config);
    auth->cache = token_cache_new((size_t)options->config->token_cache_tokens, options->metrics);
    if (!auth->cache)
        return -ENOMEM;
    auth->key_source = key_source_new(
        &(struct key_source_options){
            .kind = keys.kind, .where = keys.where, .log = options->log, .metrics = options->metrics},
        &error);
    if (auth->key_source)
        return 0;
    report_keys(&keys, &error, errors);
    return -EINVAL;
}

static void on_keys_changed(void *context, const struct api_key_set *set)
{
    const struct auth *auth = context;

    (void)set;
    if (auth->changed)
        auth->changed(auth->context);
}

static int make_key_parts(struct auth *auth, const struct auth_options *options, struct buffer *errors)
{
    const char *path = options->config->api_keys_file;
    int status;

    auth->keys_in_redis = *path == '\0';
    status = api_keys_new(&(struct api_keys_options){.path = auth->keys_in_redis ? NULL : path,
                                                     .changed = on_keys_changed,
                                                     .context = auth,
                                                     .log = options->log,
                                                     .metrics = options->metrics},
                          errors, &auth->api_keys);
    if (status == 0 || status == -ENOMEM)
        return status;
    if (errors->size == 0)
        buffer_printf(errors, "API_KEYS_FILE: %s cannot be read: %s\n", path, strerror(-status));
    return -EINVAL;
}

int auth_new(const struct auth_options *options, struct buffer *errors, struct auth **ret_auth)
{
    struct auth *auth = calloc(1, sizeof *auth);
    int status = 0;

    if (!auth)
        return -ENOMEM;
    pthread_mutex_init(&auth->lock, NULL);
    auth->config = options->config;
    auth->changed = options->changed;
    auth->context = options->context;
    auth->takes_tokens = config_list_has(options->config->auth_mode, "jwt");
    auth->takes_keys = config_list_has(options->config->auth_mode, "apikey");
    if (auth->takes_tokens)
        status = make_token_parts(auth, options, errors);
    if (status == 0 && auth->takes_keys)
        status = make_key_parts(auth, options, errors);
    if (status < 0)
        auth_free(auth);
    else
        *ret_auth = auth;
    return status;
}

void auth_free(struct auth *auth)
{
    if (!auth)
        return;
    api_keys_free(auth->api_keys);
    key_source_free(auth->key_source);
    token_cache_free(auth->cache);
    pthread_mutex_destroy(&auth->lock);
    free(auth);
}

static bool knows_keys(struct auth *auth)
{
    struct key_set *keys = key_source_get(auth->key_source);

    key_set_unref(keys);
    return keys != NULL;
}

static bool is_started(struct auth *auth)
{
    struct api_key_set *set;

    if (auth->takes_tokens && !knows_keys(auth))
        return false;
    if (!auth->takes_keys)
        return true;
    set = api_keys_current(auth->api_keys);
    api_key_set_unref(set);
    return set != NULL;
}

void auth_await_start(struct auth *auth, int timeout_ms)
{
    int64_t until_ns = clock_monotonic_ns() + (int64_t)timeout_ms * 1000000;

    while (!is_started(auth) && clock_monotonic_ns() < until_ns)
        usleep(5000);
}
