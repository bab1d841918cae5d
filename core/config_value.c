#include "core/config_value.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/frame.h"
#include "core/prefix.h"

bool config_list_next(const char **cursor, const char **ret_item, size_t *ret_size)
{
    const char *at = *cursor;

    while (*at) {
        const char *item = at + strspn(at, " \t,");
        size_t size = strcspn(item, ",");

        at = item + size;
        while (size > 0 && (item[size - 1] == ' ' || item[size - 1] == '\t'))
            size--;
        if (size > 0) {
            *cursor = at;
            *ret_item = item;
            *ret_size = size;
            return true;
        }
    }
    return false;
}

bool config_list_has(const char *list, const char *wanted)
{
    const char *item;
    size_t size;

    while (config_list_next(&list, &item, &size))
        if (strlen(wanted) == size && memcmp(item, wanted, size) == 0)
            return true;
    return false;
}

const char *config_item_divider(const char *item, size_t size)
{
    return memchr(item, '=', size);
}

/* Whether the token matches a pattern token in which `*` stands for any run of characters. */
static bool token_matches(const char *pattern, size_t pattern_size, const char *token, size_t size)
{
    size_t p = 0;
    size_t t = 0;
    size_t star = SIZE_MAX;
    size_t star_token = 0;

    while (t < size) {
        if (p < pattern_size && pattern[p] == '*') {
            star = p++;
            star_token = t;
        } else if (p < pattern_size && pattern[p] == token[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++star_token;
        } else {
            return false;
        }
    }
    while (p < pattern_size && pattern[p] == '*')
        p++;
    return p == pattern_size;
}

static size_t token_size(const char *text, size_t size)
{
    const char *dot = memchr(text, '.', size);

    return dot ? (size_t)(dot - text) : size;
}

bool config_pattern_matches(const char *pattern, size_t pattern_size, const char *subject)
{
    size_t subject_size = strlen(subject);

    for (;;) {
        size_t p = token_size(pattern, pattern_size);
        size_t s = token_size(subject, subject_size);

        if (p == 1 && pattern[0] == '>' && pattern_size == 1)
            return true;
        if (!token_matches(pattern, p, subject, s))
            return false;
        if (p == pattern_size || s == subject_size)
            return p == pattern_size && s == subject_size;
        pattern += p + 1;
        pattern_size -= p + 1;
        subject += s + 1;
        subject_size -= s + 1;
    }
}

static bool is_alphanumeric(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* A-Za-z0-9._:- */
static bool is_name_character(char c)
{
    return is_alphanumeric(c) || c == '.' || c == '_' || c == ':' || c == '-';
}

bool config_is_company_id(const char *text, size_t size)
{
    if (size == 0 || size > 128 || !is_alphanumeric(text[0]))
        return false;
    for (size_t i = 1; i < size; i++)
        if (!is_name_character(text[i]))
            return false;
    return true;
}

enum subject_kind {
    SUBJECT_PLAIN,        /* no wildcards */
    SUBJECT_SUBSCRIPTION, /* NATS wildcards: `*` as a whole token, `>` as the last one */
    SUBJECT_PATTERN,      /* `*` also within a token */
};

static bool is_token(const char *token, size_t size, enum subject_kind kind, bool is_last)
{
    if (size == 0)
        return false;
    if (size == 1 && *token == '>')
        return kind != SUBJECT_PLAIN && is_last;
    if (size == 1 && *token == '*')
        return kind != SUBJECT_PLAIN;
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)token[i] <= ' ' || token[i] == 0x7f || token[i] == '>')
            return false;
        if (token[i] == '*' && kind != SUBJECT_PATTERN)
            return false;
    }
    return true;
}

/* NATS subject syntax: tokens divided by dots, none empty, no white space or control characters. */
static bool is_subject(const char *text, size_t size, enum subject_kind kind)
{
    if (size == 0 || size > 200)
        return false;
    for (;;) {
        size_t token = token_size(text, size);

        if (!is_token(text, token, kind, token == size))
            return false;
        if (token == size)
            return true;
        text += token + 1;
        size -= token + 1;
    }
}

/* Whether a subscription covers subjects below `sluice.`, which are ours alone. */
static bool covers_ours(const char *subject, size_t size)
{
    size_t token = token_size(subject, size);

    if (token == 1 && *subject == '>')
        return true;
    if (token == 1 && *subject == '*')
        return size > token;
    return token == strlen("sluice") && memcmp(subject, "sluice", token) == 0;
}

const char *config_check_subjects(const char *value)
{
    static const char expected[] =
        "a list of NATS subjects such as metrics.*,journey.* (whose first token is neither a wildcard nor sluice: what is "
        "below sluice. is Sluice's own)";
    const char *item;
    size_t size;
    int count = 0;

    for (; config_list_next(&value, &item, &size); count++)
        if (!is_subject(item, size, SUBJECT_SUBSCRIPTION) || covers_ours(item, size))
            return expected;
    return count > 0 && count <= 64 ? NULL : expected;
}

bool config_is_event_name(const char *text, size_t size)
{
    static const char *const taken[] = {"open", "error", "message"};

    if (size == 0 || size > CONFIG_EVENT_NAME_MAX || (size > 7 && strncmp(text, "stream.", 7) == 0))
        return false;
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        if (strlen(taken[i]) == size && memcmp(taken[i], text, size) == 0)
            return false;
    for (size_t i = 0; i < size; i++)
        if (!is_name_character(text[i]))
            return false;
    return true;
}

const char *config_check_event_names(const char *value)
{
    static const char expected[] =
        "a list of pattern=name such as metrics.*=metric_updated; names of A-Za-z0-9._:-, none of them open, error, "
        "message or stream.…";
    const char *item;
    size_t size;
    int count = 0;

    for (; config_list_next(&value, &item, &size); count++) {
        const char *divider = config_item_divider(item, size);

        if (!divider || !is_subject(item, (size_t)(divider - item), SUBJECT_PATTERN) ||
            !config_is_event_name(divider + 1, size - (size_t)(divider - item) - 1))
            return expected;
    }
    return count > 0 && count <= 64 ? NULL : expected;
}

const char *config_check_subject(const char *value)
{
    size_t size = strlen(value);

    if (size == 0 || (is_subject(value, size, SUBJECT_PLAIN) && !covers_ours(value, size)))
        return NULL;
    return "one NATS subject without wildcards, not below sluice.";
}

const char *config_check_group(const char *value)
{
    size_t size = strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");

    return size > 0 && size <= CONFIG_GROUP_MAX && value[size] == '\0' ? NULL : "1 to 64 of the characters A-Za-z0-9_-";
}

const char *config_check_stream(const char *value)
{
    /* NATS itself allows more. */
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t size = strspn(value, allowed);

    if (size <= 200 && value[size] == '\0')
        return NULL;
    return "the name of a JetStream stream: at most 200 characters of A-Za-z0-9_-";
}

static bool is_host(const char *text, size_t size)
{
    char address[INET6_ADDRSTRLEN + 1];
    unsigned char parsed[sizeof(struct in6_addr)];

    if (size > 2 && text[0] == '[' && text[size - 1] == ']') {
        if (size - 2 >= sizeof address)
            return false;
        memcpy(address, text + 1, size - 2);
        address[size - 2] = '\0';
        return inet_pton(AF_INET6, address, parsed) == 1;
    }
    for (size_t i = 0; i < size; i++)
        if (!is_alphanumeric(text[i]) && text[i] != '.' && text[i] != '-' && text[i] != '_')
            return false;
    return size > 0 && size < 256;
}

/* A whole number from min to max, without a sign. */
static bool is_number(const char *text, size_t size, long min, long max)
{
    long number = 0;

    if (size == 0 || size > 7)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        number = number * 10 + (text[i] - '0');
    }
    return number >= min && number <= max;
}

static int hexadecimal(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (c | 0x20) - 'a' + 10;
    return -1;
}

/* What stands in front of the @: what RFC 3986 lets stand there, no control characters, also not encoded ones. */
static bool is_userinfo(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)text[i] <= ' ' || (unsigned char)text[i] >= 0x7f || strchr("@/?#\\[]\"<>^`{|}", text[i]))
            return false;
        if (text[i] != '%')
            continue;
        if (i + 2 >= size || hexadecimal(text[i + 1]) < 0 || hexadecimal(text[i + 2]) < 0)
            return false;
        if (hexadecimal(text[i + 1]) < 2 || (text[i + 1] == '7' && hexadecimal(text[i + 2]) == 15))
            return false;
        i += 2;
    }
    return true;
}

/* `[userinfo@]host[:port]` */
static bool is_authority(const char *text, size_t size)
{
    const char *at = memrchr(text, '@', size);
    const char *host = at ? at + 1 : text;
    const char *end = text + size;
    const char *colon = end;

    if (at && !is_userinfo(text, (size_t)(at - text)))
        return false;
    /* The last colon divides the port, unless it stands within the brackets of an IPv6 address. */
    while (colon > host && colon[-1] != ':' && colon[-1] != ']')
        colon--;
    if (colon == host || colon[-1] != ':')
        return is_host(host, (size_t)(end - host));
    return end - colon <= 5 && is_number(colon, (size_t)(end - colon), 1, 65535) &&
           is_host(host, (size_t)(colon - 1 - host));
}

const char *config_url_userinfo(const char *url, size_t size, size_t *ret_size)
{
    const char *begin = memmem(url, size, "://", 3);
    const char *at;

    if (!begin)
        return NULL;
    begin += 3;
    at = memrchr(begin, '@', (size_t)(url + size - begin));
    if (at)
        *ret_size = (size_t)(at - begin);
    return at ? begin : NULL;
}

/* The size of the scheme if the text begins with it, else 0. */
static size_t scheme_size(const char *text, const char *scheme)
{
    size_t size = strlen(scheme);

    return strncmp(text, scheme, size) == 0 ? size : 0;
}

const char *config_check_nats_url(const char *value)
{
    static const char expected[] = "a list of servers such as nats://localhost:4222 or tls://nats.example.com";
    const char *item;
    size_t size;
    int count = 0;

    for (; config_list_next(&value, &item, &size); count++) {
        size_t scheme = scheme_size(item, "nats://") + scheme_size(item, "tls://");

        if (scheme == 0 || size < scheme || !is_authority(item + scheme, size - scheme))
            return expected;
    }
    return count > 0 && count <= 64 ? NULL : expected;
}

const char *config_check_nkey(const char *value)
{
    if (!*value ||
        (strlen(value) == 56 && *value == 'U' && strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == strlen(value)))
        return NULL;
    return "the public key of a user, as nk -pubout prints it: U and 55 more of A-Z and 2-7";
}

static bool is_database(const char *text)
{
    return is_number(text, strlen(text), 0, 1000000);
}

/* `[userinfo@]host[:port][/database]` */
static bool is_redis_server(const char *authority)
{
    size_t size = strcspn(authority, "/");

    if (!is_authority(authority, size))
        return false;
    return authority[size] == '\0' || authority[size + 1] == '\0' || is_database(authority + size + 1);
}

/* `[userinfo@]/path[?db=database]`, the path short enough for a socket's address */
static bool is_redis_socket(const char *text)
{
    const char *path = strchr(text, '/');
    size_t size;

    if (!path || (path > text && (path[-1] != '@' || !is_userinfo(text, (size_t)(path - 1 - text)))))
        return false;
    size = strcspn(path, "?");
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)path[i] <= ' ' || path[i] == 0x7f || strchr("%#@", path[i]))
            return false;
    if (size < 2 || size > 107)
        return false;
    return path[size] == '\0' || (strncmp(path + size, "?db=", 4) == 0 && is_database(path + size + 4));
}

/* `[userinfo@]host[:port][,host[:port]...]` */
static bool is_redis_list(const char *text, size_t size)
{
    const char *at = memrchr(text, '@', size);
    const char *item = at ? at + 1 : text;
    const char *end = text + size;
    int count = 0;

    if (at && !is_userinfo(text, (size_t)(at - text)))
        return false;
    for (;; count++) {
        const char *comma = memchr(item, ',', (size_t)(end - item));
        const char *item_end = comma ? comma : end;

        if (!is_authority(item, (size_t)(item_end - item)))
            return false;
        if (!comma)
            return count < 16;
        item = comma + 1;
    }
}

/* Sentinels and, behind them, `/master[/database]` */
static bool is_redis_sentinels(const char *text)
{
    size_t list = strcspn(text, "/");
    const char *name = text + list + 1;
    size_t size;

    if (text[list] == '\0' || !is_redis_list(text, list))
        return false;
    size = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_");
    return size > 0 && size < 128 && (name[size] == '\0' || (name[size] == '/' && is_database(name + size + 1)));
}

/* Nodes of a cluster. */
static bool is_redis_cluster(const char *text)
{
    size_t list = strcspn(text, "/");

    return is_redis_list(text, list) && (text[list] == '\0' || text[list + 1] == '\0');
}

const char *config_check_redis_url(const char *value)
{
    size_t server = scheme_size(value, "redis://") + scheme_size(value, "rediss://");
    size_t socket = scheme_size(value, "unix://") + scheme_size(value, "redis+unix://");

    size_t sentinels = scheme_size(value, "redis+sentinel://") + scheme_size(value, "rediss+sentinel://");
    size_t cluster = scheme_size(value, "redis+cluster://") + scheme_size(value, "rediss+cluster://");

    if (!*value || (server && is_redis_server(value + server)) || (socket && is_redis_socket(value + socket)) ||
        (sentinels && is_redis_sentinels(value + sentinels)) || (cluster && is_redis_cluster(value + cluster)))
        return NULL;
    return "redis[s]://[[user:]password@]host[:port][/database], unix://[[user:]password@]/path[?db=database], "
           "redis[s]+sentinel://[[user:]password@]host[:port][,host[:port]...]/master[/database], "
           "redis[s]+cluster://[[user:]password@]host[:port][,host[:port]...], or nothing at all for a replay store in "
           "memory";
}

/* An origin (RFC 6454, 6.2), or all of them, or one whose host begins with `*.`. */
static bool is_origin(const char *item, size_t size)
{
    const char *authority = memmem(item, size, "://", 3);
    const char *end = item + size;

    if (size == 1 && *item == '*')
        return true;
    if (!authority || authority == item || size > 255)
        return false;
    authority += 3;
    if (end - authority > 2 && memcmp(authority, "*.", 2) == 0)
        authority += 2;
    for (const char *at = item; at < end; at++)
        if (at != authority - 2 && ((unsigned char)*at <= ' ' || (unsigned char)*at >= 0x7f || strchr("*\"<>\\", *at)))
            return false;
    return authority < end && !memchr(authority, '/', (size_t)(end - authority));
}

const char *config_check_origins(const char *value)
{
    const char *item;
    size_t size;

    while (config_list_next(&value, &item, &size))
        if (!is_origin(item, size))
            return "* or a list of origins such as https://dashboard.example.com,https://*.example.com,http://localhost:5173";
    return NULL;
}

const char *config_check_address(const char *value)
{
    unsigned char address[sizeof(struct in6_addr)];

    if (inet_pton(AF_INET, value, address) == 1 || inet_pton(AF_INET6, value, address) == 1)
        return NULL;
    return "an IPv4 or IPv6 address such as 0.0.0.0 or ::";
}

const char *config_check_admin_address(const char *value)
{
    return *value ? config_check_address(value) : NULL;
}

static bool is_http_url(const char *value)
{
    const char *authority = strstr(value, "://");

    if (!authority || (strncmp(value, "https://", 8) != 0 && strncmp(value, "http://", 7) != 0))
        return false;
    for (const char *at = value; *at; at++)
        if ((unsigned char)*at <= ' ' || (unsigned char)*at >= 0x7f || strchr("\"<>\\^`{|}", *at))
            return false;
    authority += 3;
    return strlen(value) <= 2048 && is_authority(authority, strcspn(authority, "/?#"));
}

const char *config_check_http_url(const char *value)
{
    if (!*value || is_http_url(value))
        return NULL;
    return "a URL such as https://login.example.com/.well-known/jwks.json";
}

const char *config_check_prefixes(const char *value)
{
    static const char expected[] =
        "a list of at most 256 addresses or prefixes such as 10.0.0.0/8,2001:db8::/32 (with nothing but 0 behind the prefix)";
    struct prefix prefix;
    const char *item;
    size_t size;
    int count = 0;

    for (; config_list_next(&value, &item, &size); count++)
        if (prefix_parse(item, size, &prefix) < 0)
            return expected;
    return count <= PREFIX_LIST_MAX ? NULL : expected;
}

/* Shows one URL. Returns how much it wrote, or would have. */
static size_t redact_url(const char *url, size_t url_size, char *ret_text, size_t size)
{
    const char *at = memrchr(url, '@', url_size);
    const char *scheme_end = memmem(url, url_size, "://", 3);
    int shown = scheme_end && scheme_end < at ? (int)(scheme_end + 3 - url) : 0;
    int written;

    if (at)
        written = snprintf(ret_text, size, "%.*s***%.*s", shown, url, (int)(url + url_size - at), at);
    else
        written = snprintf(ret_text, size, "%.*s", (int)url_size, url);
    return (size_t)written;
}

/* Whether a list's commas part whole URLs: each item has a scheme and an @. Otherwise a comma may be a password's. */
static bool is_list_of_urls(const char *value)
{
    const char *item;
    size_t size;

    while (config_list_next(&value, &item, &size))
        if (!memmem(item, size, "://", 3) || !memchr(item, '@', size))
            return false;
    return true;
}

void config_redact(const char *value, char *ret_text, size_t size)
{
    const char *item;
    size_t item_size;
    size_t used = 0;

    if (!is_list_of_urls(value)) {
        redact_url(value, strlen(value), ret_text, size);
        return;
    }
    ret_text[0] = '\0';
    while (used + 1 < size && config_list_next(&value, &item, &item_size)) {
        if (used > 0)
            ret_text[used++] = ',';
        used += redact_url(item, item_size, ret_text + used, size - used);
    }
}
