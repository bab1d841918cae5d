#include "bridge/transform.h"

#include <stdlib.h>
#include <string.h>

#include "core/config_value.h"
#include "core/json_scan.h"

struct rule {
    struct rule *next;
    size_t pattern_size;
    char *name;
    char pattern[];
};

struct transform {
    struct rule *rules; /* the first match wins */
    struct json_scanner *scanner;
};

static struct rule *rule_new(const char *item, size_t size)
{
    const char *divider = config_item_divider(item, size);
    struct rule *rule = divider ? malloc(sizeof *rule + size + 1) : NULL;

    if (!rule)
        return NULL;
    memcpy(rule->pattern, item, size);
    rule->pattern[size] = '\0';
    rule->pattern_size = (size_t)(divider - item);
    rule->name = rule->pattern + rule->pattern_size + 1;
    rule->next = NULL;
    return rule;
}

struct transform *transform_new(const char *event_names, size_t max_event_bytes)
{
    struct transform *transform = calloc(1, sizeof *transform);
    struct rule **last;
    const char *item;
    size_t size;

    if (!transform)
        return NULL;
    transform->scanner = json_scanner_new(max_event_bytes);
    if (!transform->scanner) {
        transform_free(transform);
        return NULL;
    }
    last = &transform->rules;
    while (config_list_next(&event_names, &item, &size)) {
        *last = rule_new(item, size);
        if (!*last) {
            transform_free(transform);
            return NULL;
        }
        last = &(*last)->next;
    }
    return transform;
}

void transform_free(struct transform *transform)
{
    if (!transform)
        return;
    while (transform->rules) {
        struct rule *next = transform->rules->next;

        free(transform->rules);
        transform->rules = next;
    }
    json_scanner_free(transform->scanner);
    free(transform);
}

static const char *event_name(const struct transform *transform, const char *subject)
{
    for (const struct rule *rule = transform->rules; rule; rule = rule->next)
        if (config_pattern_matches(rule->pattern, rule->pattern_size, subject))
            return rule->name;
    return NULL;
}

static enum transform_result find_company(struct transform *transform, const char *payload, size_t size,
                                          char company[COMPANY_ID_SIZE])
{
    switch (json_scan_member(transform->scanner, payload, size, "companyId", company, COMPANY_ID_SIZE)) {
    case JSON_SCAN_OK:
        return config_is_company_id(company, strlen(company)) ? TRANSFORM_ACCEPTED : TRANSFORM_BAD_COMPANY;
    case JSON_SCAN_TOO_LARGE:
        return TRANSFORM_TOO_LARGE;
    case JSON_SCAN_NOT_JSON:
        return TRANSFORM_NOT_JSON;
    case JSON_SCAN_NOT_OBJECT:
        return TRANSFORM_NOT_OBJECT;
    case JSON_SCAN_MISSING:
        return TRANSFORM_MISSING_COMPANY;
    case JSON_SCAN_NOT_STRING:
        return TRANSFORM_BAD_COMPANY;
    case JSON_SCAN_DUPLICATE:
        return TRANSFORM_DUPLICATE_COMPANY;
    }
    return TRANSFORM_NOT_JSON;
}

enum transform_result transform_message(struct transform *transform, const char *subject, const char *payload,
                                        size_t size, struct transformed *ret_event)
{
    enum transform_result result = find_company(transform, payload, size, ret_event->company);

    if (result != TRANSFORM_ACCEPTED)
        return result;
    ret_event->event = event_name(transform, subject);
    if (!ret_event->event)
        return TRANSFORM_NO_EVENT_NAME;
    event_id_subject(subject, strlen(subject), ret_event->subject);
    return TRANSFORM_ACCEPTED;
}

const char *transform_result_text(enum transform_result result)
{
    switch (result) {
    case TRANSFORM_ACCEPTED:
        return "accepted";
    case TRANSFORM_NOT_JSON:
        return "not_json";
    case TRANSFORM_NOT_OBJECT:
        return "not_object";
    case TRANSFORM_MISSING_COMPANY:
        return "missing_company";
    case TRANSFORM_BAD_COMPANY:
        return "bad_company";
    case TRANSFORM_DUPLICATE_COMPANY:
        return "duplicate_company";
    case TRANSFORM_TOO_LARGE:
        return "too_large";
    case TRANSFORM_NO_EVENT_NAME:
        return "no_event_name";
    }
    return "unknown";
}
