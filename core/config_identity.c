#include "core/config_identity.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/config_value.h"

static bool is_given(const char *value)
{
    return *value != '\0';
}

/* A file that a library reads later: a name that is wrong should be told at the start. */
static void check_file(const char *name, const char *path, struct buffer *errors)
{
    int fd;

    if (!is_given(path))
        return;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        buffer_printf(errors, "%s: cannot read %s: %s\n", name, path, strerror(errno));
    else
        close(fd);
}

static void check_pair(const char *first_name, const char *first, const char *second_name, const char *second,
                       struct buffer *errors)
{
    if (is_given(first) != is_given(second))
        buffer_printf(errors, "%s: is given without %s; expected both or none\n",
                      is_given(first) ? first_name : second_name, is_given(first) ? second_name : first_name);
}

/* The servers of NATS_URL: they share one identity, and all are reached by TLS or none is. */
static void check_nats_servers(const struct config *config, bool *ret_secure, bool *ret_userinfo, struct buffer *errors)
{
    const char *cursor = config->nats_url;
    const char *item;
    const char *first = NULL;
    size_t first_size = 0;
    size_t size;
    int count = 0;
    int secure = 0;
    bool differ = false;

    for (; config_list_next(&cursor, &item, &size); count++) {
        size_t userinfo_size;
        const char *userinfo = config_url_userinfo(item, size, &userinfo_size);

        secure += strncmp(item, "tls://", 6) == 0;
        if (!userinfo)
            continue;
        differ = differ || (first && (first_size != userinfo_size || memcmp(first, userinfo, first_size) != 0));
        first = userinfo;
        first_size = userinfo_size;
    }
    if (secure > 0 && secure < count)
        buffer_printf(errors, "NATS_URL: mixes tls:// and nats://; expected the same for all servers\n");
    if (differ)
        buffer_printf(errors, "NATS_URL: has several users; expected the same for all servers\n");
    *ret_secure = secure > 0;
    *ret_userinfo = first != NULL;
}

static void check_nats(const struct config *config, struct buffer *errors)
{
    bool secure;
    bool userinfo;
    int ways;

    check_nats_servers(config, &secure, &userinfo, errors);
    check_pair("NATS_USER", config->nats_user, "NATS_PASSWORD", config->nats_password, errors);
    check_pair("NATS_NKEY", config->nats_nkey, "NATS_NKEY_SEED_FILE", config->nats_nkey_seed_file, errors);
    check_pair("NATS_TLS_CERT_FILE", config->nats_tls_cert_file, "NATS_TLS_KEY_FILE", config->nats_tls_key_file,
               errors);
    ways = userinfo + is_given(config->nats_user) + is_given(config->nats_token) + is_given(config->nats_nkey) +
           is_given(config->nats_creds_file);
    if (ways > 1)
        buffer_printf(errors,
                      "NATS_URL, NATS_USER, NATS_TOKEN, NATS_NKEY, NATS_CREDS_FILE: more than one of them says who "
                      "we are; expected one (or none)\n");
    if (!secure && (is_given(config->nats_tls_ca_file) || is_given(config->nats_tls_cert_file)))
        buffer_printf(errors, "NATS_TLS_CA_FILE, NATS_TLS_CERT_FILE: are given, but NATS_URL does not use TLS; "
                              "expected tls:// there\n");
    check_file("NATS_NKEY_SEED_FILE", config->nats_nkey_seed_file, errors);
    check_file("NATS_CREDS_FILE", config->nats_creds_file, errors);
    check_file("NATS_TLS_CA_FILE", config->nats_tls_ca_file, errors);
    check_file("NATS_TLS_CERT_FILE", config->nats_tls_cert_file, errors);
    check_file("NATS_TLS_KEY_FILE", config->nats_tls_key_file, errors);
}

/* Whether a Redis URL carries a password. */
static bool url_has_password(const char *url)
{
    size_t size;
    const char *userinfo = config_url_userinfo(url, strcspn(url, "?"), &size);

    return userinfo && memchr(userinfo, ':', size);
}

static void check_redis(const struct config *config, struct buffer *errors)
{
    bool secure = strncmp(config->redis_url, "rediss", 6) == 0;
    bool has_sentinels = strstr(config->redis_url, "+sentinel://") != NULL;

    check_pair("REDIS_TLS_CERT_FILE", config->redis_tls_cert_file, "REDIS_TLS_KEY_FILE", config->redis_tls_key_file,
               errors);
    if (is_given(config->redis_password) && url_has_password(config->redis_url))
        buffer_printf(errors, "REDIS_PASSWORD: is given, and REDIS_URL has a password too; expected one of them\n");
    if (is_given(config->redis_sentinel_password) && !has_sentinels)
        buffer_printf(errors, "REDIS_SENTINEL_PASSWORD: is given, but REDIS_URL names no Sentinels; expected "
                              "redis+sentinel:// there\n");
    if (!secure && (is_given(config->redis_tls_ca_file) || is_given(config->redis_tls_cert_file)))
        buffer_printf(errors, "REDIS_TLS_CA_FILE, REDIS_TLS_CERT_FILE: are given, but REDIS_URL does not use TLS; "
                              "expected rediss there\n");
    check_file("REDIS_TLS_CA_FILE", config->redis_tls_ca_file, errors);
    check_file("REDIS_TLS_CERT_FILE", config->redis_tls_cert_file, errors);
    check_file("REDIS_TLS_KEY_FILE", config->redis_tls_key_file, errors);
}

void config_identity_check(const struct config *config, struct buffer *errors)
{
    check_nats(config, errors);
    check_redis(config, errors);
}
