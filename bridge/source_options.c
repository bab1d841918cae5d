#include "bridge/source_options.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config.h"
#include "core/config_secret.h"
#include "core/config_value.h"

enum {
    RECONNECT_WAIT_MS = 250,
    RECONNECT_JITTER_MS = 250,
    PING_INTERVAL_MS = 20000,
    WRITE_DEADLINE_MS = 500,
    SERVERS_MAX = 64,
    PENDING_MESSAGES = 1000000, /* in the library; the bytes are 1024 times as many, and an int */
};

static const char tls_scheme[] = "tls://";

static bool is_given(const char *text)
{
    return text && *text;
}

/* Cuts the user and the password out of a server's URL, in place: libnats 3.4.1 would not decode them. */
static char *without_userinfo(char *url)
{
    size_t size;
    char *userinfo = (char *)(uintptr_t)config_url_userinfo(url, strlen(url), &size);
    size_t scheme = userinfo ? (size_t)(userinfo - url) : 0;

    if (!userinfo)
        return url;
    return memmove(userinfo + size + 1 - scheme, url, scheme);
}

/* The host of a server's URL without userinfo, without port and brackets. */
static const char *host_of(const char *url, size_t *ret_size)
{
    const char *host = strstr(url, "://") + 3;

    if (*host == '[') {
        *ret_size = strcspn(host + 1, "]");
        return host + 1;
    }
    *ret_size = strcspn(host, ":");
    return host;
}

/*
 * The library verifies the name of the host it connects to, as long as it was built to. Where all servers have one name, we
 * need not rely on that.
 */
static natsStatus expect_host(natsOptions *options, const char *const *servers, int count)
{
    size_t size;
    const char *host = host_of(servers[0], &size);
    char *name;
    natsStatus status;

    for (int i = 1; i < count; i++) {
        size_t other_size;
        const char *other = host_of(servers[i], &other_size);

        if (other_size != size || memcmp(other, host, size) != 0)
            return NATS_OK;
    }
    name = strndup(host, size);
    if (!name)
        return NATS_NO_MEMORY;
    status = natsOptions_SetExpectedHostname(options, name);
    free(name);
    return status;
}

static natsStatus set_tls(natsOptions *options, const struct source_identity *identity)
{
    natsStatus status = natsOptions_SetSecure(options, true);

    if (status == NATS_OK)
        status = natsOptions_SkipServerVerification(options, false);
    if (status == NATS_OK && is_given(identity->tls_ca_file))
        status = natsOptions_LoadCATrustedCertificates(options, identity->tls_ca_file);
    if (status == NATS_OK && is_given(identity->tls_cert_file))
        status = natsOptions_LoadCertificatesChain(options, identity->tls_cert_file, identity->tls_key_file);
    return status;
}

static natsStatus set_servers(natsOptions *options, const struct source_identity *identity)
{
    char *copy = strdup(identity->url);
    const char *servers[SERVERS_MAX];
    const char *cursor = copy;
    const char *item;
    size_t size;
    int count = 0;
    natsStatus status;

    if (!copy)
        return NATS_NO_MEMORY;
    while (count < SERVERS_MAX && config_list_next(&cursor, &item, &size)) {
        char *server = copy + (item - copy);

        if (*cursor)
            cursor++;
        server[size] = '\0';
        servers[count++] = without_userinfo(server);
    }
    status = natsOptions_SetServers(options, servers, count);
    if (status == NATS_OK && strncmp(servers[0], tls_scheme, strlen(tls_scheme)) == 0) {
        status = set_tls(options, identity);
        if (status == NATS_OK)
            status = expect_host(options, servers, count);
    }
    config_secret_free(copy);
    return status;
}

/* The library writes logins into the JSON of its CONNECT as they are: what JSON does not let stand there is escaped here. */
static char *escaped(const char *text)
{
    char *copy = malloc(strlen(text) * 6 + 1);
    char *to = copy;

    if (!copy)
        return NULL;
    for (; *text; text++)
        if (*text == '"' || *text == '\\' || (unsigned char)*text < ' ')
            to += sprintf(to, "\\u%04x", (unsigned)(unsigned char)*text);
        else
            *to++ = *text;
    *to = '\0';
    return copy;
}

/* password: NULL: `user` is a token. */
static natsStatus login(natsOptions *options, const char *user, const char *password)
{
    char *safe_user = escaped(user);
    char *safe_password = password ? escaped(password) : NULL;
    natsStatus status = NATS_NO_MEMORY;

    if (safe_user && !password)
        status = natsOptions_SetToken(options, safe_user);
    else if (safe_user && safe_password)
        status = natsOptions_SetUserInfo(options, safe_user, safe_password);
    config_secret_free(safe_user);
    config_secret_free(safe_password);
    return status;
}

static int hexadecimal(char c)
{
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* Decodes %XX in place; the check of the settings has seen to it that they are complete. */
static void decode(char *text)
{
    char *to = text;

    for (; *text; text++)
        if (*text == '%' && text[1] && text[2]) {
            *to++ = (char)(hexadecimal(text[1]) * 16 + hexadecimal(text[2]));
            text += 2;
        } else {
            *to++ = *text;
        }
    *to = '\0';
}

/* `user:password` or, as everywhere with NATS, a lone `token`, from the first server that has one. */
static natsStatus set_login_of_url(natsOptions *options, const char *url)
{
    const char *item;
    size_t size;

    while (config_list_next(&url, &item, &size)) {
        size_t userinfo_size;
        const char *userinfo = config_url_userinfo(item, size, &userinfo_size);
        char *user = userinfo ? strndup(userinfo, userinfo_size) : NULL;
        char *password;
        natsStatus status;

        if (!userinfo)
            continue;
        if (!user)
            return NATS_NO_MEMORY;
        password = strchr(user, ':');
        if (password)
            *password++ = '\0';
        decode(user);
        if (password)
            decode(password);
        status = login(options, user, password);
        explicit_bzero(user, userinfo_size);
        free(user);
        return status;
    }
    return NATS_OK;
}

/* What the file says now, if there is one and it can be read; else the text as it was at the start. NULL: no memory. */
static char *present_secret(const char *text, const char *file)
{
    char *secret = strdup(text);

    if (secret && file)
        config_secret_refresh(file, &secret);
    return secret;
}

static natsStatus login_with_secret(natsOptions *options, const struct source_identity *identity)
{
    bool has_user = is_given(identity->user);
    char *secret = has_user ? present_secret(identity->password, identity->password_file)
                            : present_secret(identity->token, identity->token_file);
    natsStatus status = NATS_NO_MEMORY;

    if (secret)
        status = has_user ? login(options, identity->user, secret) : login(options, secret, NULL);
    config_secret_free(secret);
    return status;
}

static natsStatus set_login(natsOptions *options, const struct source_identity *identity)
{
    if (is_given(identity->user) || is_given(identity->token))
        return login_with_secret(options, identity);
    if (is_given(identity->nkey))
        return natsOptions_SetNKeyFromSeed(options, identity->nkey, identity->nkey_seed_file);
    if (is_given(identity->creds_file))
        return natsOptions_SetUserCredentialsFromFiles(options, identity->creds_file, NULL);
    return set_login_of_url(options, identity->url);
}

static natsStatus set_times(natsOptions *options)
{
    natsStatus status = natsOptions_SetMaxReconnect(options, -1);

    if (status == NATS_OK)
        status = natsOptions_SetReconnectWait(options, RECONNECT_WAIT_MS);
    if (status == NATS_OK)
        status = natsOptions_SetReconnectJitter(options, RECONNECT_JITTER_MS, RECONNECT_JITTER_MS);
    if (status == NATS_OK)
        status = natsOptions_SetPingInterval(options, PING_INTERVAL_MS);
    /* A server that takes nothing more must not stall those who publish to it. */
    if (status == NATS_OK)
        status = natsOptions_SetWriteDeadline(options, WRITE_DEADLINE_MS);
    return status;
}

struct source_identity source_identity_of(const struct config *config)
{
    return (struct source_identity){.url = config->nats_url,
                                    .user = config->nats_user,
                                    .password = config->nats_password,
                                    .password_file = config->nats_password_file,
                                    .token = config->nats_token,
                                    .token_file = config->nats_token_file,
                                    .nkey = config->nats_nkey,
                                    .nkey_seed_file = config->nats_nkey_seed_file,
                                    .creds_file = config->nats_creds_file,
                                    .tls_ca_file = config->nats_tls_ca_file,
                                    .tls_cert_file = config->nats_tls_cert_file,
                                    .tls_key_file = config->nats_tls_key_file};
}

natsStatus source_options_make(const struct source_identity *identity, natsOptions **ret_options)
{
    natsOptions *options = NULL;
    natsStatus status = natsOptions_Create(&options);

    if (status == NATS_OK)
        status = set_servers(options, identity);
    if (status == NATS_OK)
        status = set_login(options, identity);
    if (status == NATS_OK)
        status = natsOptions_SetName(options, "sluice");
    /* One thread delivers all subscriptions: the order of the wire is the order of the inbox. */
    if (status == NATS_OK)
        status = natsOptions_UseGlobalMessageDelivery(options, true);
    /* Subscriptions lift this limit at once; until then the usual one, of 65536, could be reached in a flood. */
    if (status == NATS_OK)
        status = natsOptions_SetMaxPendingMsgs(options, PENDING_MESSAGES);
    /* What replicas tell each other must not wait for the library's flusher. */
    if (status == NATS_OK)
        status = natsOptions_SetSendAsap(options, true);
    if (status == NATS_OK)
        status = set_times(options);
    if (status != NATS_OK) {
        natsOptions_Destroy(options);
        return status;
    }
    *ret_options = options;
    return NATS_OK;
}
