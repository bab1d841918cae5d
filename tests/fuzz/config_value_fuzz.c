#include <stdlib.h>
#include <string.h>

#include "auth/algorithm.h"
#include "bridge/transform.h"
#include "core/config_auth.h"
#include "core/config_value.h"
#include "tests/fuzz/fuzz.h"

#define SECRET "S3CR3T"

/* What a pattern means, written as it is said. NATS's `>` is the caller's. */
static bool glob(const char *pattern, size_t size, const char *text)
{
    if (size == 0)
        return *text == '\0';
    if (*pattern == '*')
        return glob(pattern + 1, size - 1, text) || (*text && *text != '.' && glob(pattern, size, text + 1));
    return *text == *pattern && glob(pattern + 1, size - 1, text + 1);
}

/* `a.b.>` means what a.b.* means, and what has more tokens behind it. */
static bool is_match(const char *pattern, size_t size, const char *subject)
{
    char prefix[256];

    if (pattern[size - 1] != '>' || (size > 1 && pattern[size - 2] != '.'))
        return glob(pattern, size, subject);
    if (size == 1)
        return true;
    /* Some dot of the subject is where the pattern's last one is, and something stands behind it. */
    memcpy(prefix, pattern, size - 2);
    for (const char *dot = strchr(subject, '.'); dot; dot = strchr(dot + 1, '.')) {
        char *part = strndup(subject, (size_t)(dot - subject));
        bool matches = part && glob(prefix, size - 2, part);

        free(part);
        if (matches)
            return true;
    }
    return false;
}

/* Few stars, or the slow way above takes for ever; and a subject as NATS lets it be. */
static bool is_comparable(const char *pattern, size_t size, const char *subject)
{
    int stars = 0;

    for (size_t i = 0; i < size; i++)
        stars += pattern[i] == '*';
    return stars <= 4 && size < 200 && strlen(subject) < 64 && *subject && *subject != '.' &&
           subject[strlen(subject) - 1] != '.' && !strstr(subject, "..");
}

/* Each pattern of the list names what it means, and the first that matches gives the name. */
static void check_event_names(const char *list, const char *subject)
{
    struct transform *transform = transform_new(list, 1024);
    struct transformed event;
    static const char payload[] = "{\"companyId\":\"acme\"}";
    enum transform_result result;
    const char *first = NULL;
    const char *item;
    size_t size;

    MUST(transform != NULL);
    result = transform_message(transform, subject, payload, sizeof payload - 1, &event);
    MUST(result == TRANSFORM_ACCEPTED || result == TRANSFORM_NO_EVENT_NAME);
    while (!first && config_list_next(&list, &item, &size)) {
        const char *divider = config_item_divider(item, size);

        MUST(divider != NULL);
        if (!is_comparable(item, (size_t)(divider - item), subject))
            break;
        MUST(config_pattern_matches(item, (size_t)(divider - item), subject) ==
             is_match(item, (size_t)(divider - item), subject));
        if (is_match(item, (size_t)(divider - item), subject))
            first = divider + 1;
    }
    if (first) {
        MUST(result == TRANSFORM_ACCEPTED && strncmp(event.event, first, strlen(event.event)) == 0);
        MUST(strcspn(event.event, "\r\n: \t") == strlen(event.event) || strchr(event.event, ':'));
    }
    transform_free(transform);
}

/* What we subscribe to is never what we publish for ourselves. */
static void check_subjects(const char *list)
{
    const char *item;
    size_t size;

    while (config_list_next(&list, &item, &size)) {
        MUST(!config_pattern_matches(item, size, "sluice.live"));
        MUST(!memchr(item, ' ', size) && !memchr(item, '\n', size) && size <= 200);
    }
}

static void check_algorithms(const char *list)
{
    algorithm_set set = algorithm_set_of(list);
    const char *item;
    size_t size;

    while (config_list_next(&list, &item, &size)) {
        enum algorithm algorithm = algorithm_find(item, size);

        MUST(algorithm != ALGORITHM_COUNT && (set & ALGORITHM_BIT(algorithm)));
        MUST(strncmp(algorithm_name(algorithm), item, size) == 0);
    }
}

/* Whatever stands around it: the password of a URL is not shown. */
static void check_redaction(const char *noise)
{
    char url[640];
    char shown[1024];
    size_t userinfo_size;
    const char *userinfo;

    if (strstr(noise, SECRET) || strlen(noise) > 400)
        return;
    strcpy(url, "nats://user:" SECRET);
    strcat(url, noise);
    strcat(url, "@host");
    userinfo = config_url_userinfo(url, strlen(url), &userinfo_size);
    MUST(userinfo == url + 7 && userinfo_size == strlen(url) - strlen("nats://") - strlen("@host"));
    config_redact(url, shown, sizeof shown);
    MUST(!strstr(shown, SECRET));
    config_redact(url, shown, 8);
    MUST(memchr(shown, '\0', 8) != NULL);
}

/* What passed the checks is one line of text: it goes into headers, logs and protocols. */
static void check_line(const char *value)
{
    MUST(!strpbrk(value, "\r\n"));
}

/* The input: a value, and perhaps the end of its line and a subject. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *value = fuzz_text(data, size);
    char *subject = strchr(value, '\n');

    if (subject)
        *subject++ = '\0';
    if (!config_check_event_names(value))
        check_event_names(value, subject ? subject : "");
    if (!config_check_subjects(value))
        check_subjects(value);
    if (!config_check_algorithms(value))
        check_algorithms(value);
    if (!config_check_nats_url(value) || !config_check_http_url(value) || !config_check_subject(value))
        check_line(value);
    check_redaction(value);
    (void)config_check_nkey(value);
    (void)config_check_secret(value);
    (void)config_check_claim(value);
    free(value);
    return 0;
}
