#include "core/config_auth.h"

#include <stdio.h>
#include <string.h>

#include "core/config_value.h"

const char *config_check_auth_mode(const char *value)
{
    static const char expected[] = "none, jwt, apikey or jwt,apikey";
    const char *cursor = value;
    const char *item;
    size_t size;

    if (strcmp(value, "none") == 0)
        return NULL;
    while (config_list_next(&cursor, &item, &size))
        if (!(size == 3 && memcmp(item, "jwt", 3) == 0) && !(size == 6 && memcmp(item, "apikey", 6) == 0))
            return expected;
    return config_list_has(value, "jwt") || config_list_has(value, "apikey") ? NULL : expected;
}

const char *config_check_admin_key(const char *value)
{
    size_t size = strlen(value);
    bool good = size == 0 || (size >= 32 && size <= 256);

    for (size_t i = 0; i < size; i++)
        good = good && value[i] > ' ' && value[i] < 0x7f;
    return good ? NULL : "32 to 256 random characters, such as the output of: openssl rand -hex 32";
}

/* A cookie's name is a token (RFC 6265, 4.1.1). */
const char *config_check_cookie(const char *value)
{
    for (const char *at = value; *at; at++)
        if ((unsigned char)*at <= ' ' || (unsigned char)*at >= 0x7f || strchr("()<>@,;:\\\"/[]?={}", *at))
            return "a cookie's name, such as session or __Host-session";
    return strlen(value) <= 128 ? NULL : "a cookie's name of at most 128 characters";
}

const char *config_check_secret(const char *value)
{
    size_t size = strlen(value);

    if (size == 0 || (size >= 32 && !strstr(value, "-----BEGIN ")))
        return NULL;
    return "at least 32 random bytes, such as the output of: openssl rand -base64 48 (a public key goes into "
           "JWT_PUBLIC_KEY_FILE)";
}

const char *config_check_algorithms(const char *value)
{
    static const char expected[] =
        "a list of HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA";
    static const char known[] = " HS256 HS384 HS512 RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA ";
    const char *item;
    size_t size;

    while (config_list_next(&value, &item, &size)) {
        char word[16];

        if (size + 3 > sizeof word || memchr(item, ' ', size))
            return expected;
        snprintf(word, sizeof word, " %.*s ", (int)size, item);
        if (!strstr(known, word))
            return expected;
    }
    return NULL;
}

const char *config_check_claim(const char *value)
{
    if (strlen(value) < 256)
        return NULL;
    return "a claim's name, or a path such as org.id, of at most 255 bytes";
}

/* With two sources it would be unclear which of them a token is verified with. */
static void check_key_sources(const struct config *config, struct buffer *errors)
{
    const char *const sources[] = {config->jwt_secret, config->jwt_secret_file, config->jwt_public_key_file,
                                   config->jwt_jwks_file, config->jwt_jwks_url};
    int count = 0;

    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++)
        count += *sources[i] != '\0';
    if (count > 1)
        buffer_append_text(errors,
                           "JWT_SECRET, JWT_SECRET_FILE, JWT_PUBLIC_KEY_FILE, JWT_JWKS_FILE, JWT_JWKS_URL: more "
                           "than one is set; expected one\n");
}

void config_auth_check(const struct config *config, struct buffer *errors)
{
    bool has_key = *config->jwt_secret || *config->jwt_secret_file || *config->jwt_public_key_file ||
                   *config->jwt_jwks_file || *config->jwt_jwks_url;

    if (config_list_has(config->auth_mode, "jwt") && !has_key)
        buffer_append_text(errors, "AUTH_MODE: \"jwt\" needs a key; expected one of JWT_SECRET, JWT_SECRET_FILE, "
                                   "JWT_PUBLIC_KEY_FILE, JWT_JWKS_FILE, JWT_JWKS_URL to be set\n");
    if (config_list_has(config->auth_mode, "apikey") && !*config->api_keys_file && !*config->redis_url)
        buffer_append_text(errors,
                           "AUTH_MODE: \"apikey\" needs keys; expected API_KEYS_FILE, or REDIS_URL for those of "
                           "the hash sluice:keys\n");
    if (*config->auth_cookie && config_list_has(config->cors_origins, "*"))
        buffer_append_text(errors,
                           "CORS_ORIGINS: \"*\" is not valid with AUTH_COOKIE; expected the origins of the pages "
                           "that may use the cookie\n");
    check_key_sources(config, errors);
}
