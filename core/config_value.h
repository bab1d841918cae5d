#ifndef SLUICE_CORE_CONFIG_VALUE_H
#define SLUICE_CORE_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>

/* The syntax of setting values: what the options table checks and the modules read. Any thread. */

/*
 * The next item of a comma-separated list, without the white space around it. Starts at *cursor and moves it on; false at
 * the end. Empty items are skipped.
 */
bool config_list_next(const char **cursor, const char **ret_item, size_t *ret_size);

/* Whether the list has that item. */
bool config_list_has(const char *list, const char *item);

/* The '=' that divides an item such as `pattern=name`, or NULL. */
const char *config_item_divider(const char *item, size_t size);

/*
 * Whether the subject matches the pattern: dot-separated tokens, `*` stands for any characters within one token, a last
 * token `>` for one token or more.
 */
bool config_pattern_matches(const char *pattern, size_t pattern_size, const char *subject);

/* What stands in front of the @ of a URL, still percent-encoded; NULL: nothing. */
const char *config_url_userinfo(const char *url, size_t size, size_t *ret_size);

/* A company id: [A-Za-z0-9][A-Za-z0-9._:-]{0,127}. */
bool config_is_company_id(const char *text, size_t size);

/* What it takes, for people. */
#define COMPANY_ID_EXPECTED "1 to 128 characters of A-Za-z0-9._:-, the first a letter or a digit"

/* An event name that EVENT_NAMES may give: [A-Za-z0-9._:-]{1,64}, and none that means something to browsers or to us. */
enum { CONFIG_EVENT_NAME_MAX = 64 };
bool config_is_event_name(const char *text, size_t size);

/* The longest name of a group of replicas. */
enum { CONFIG_GROUP_MAX = 64 };

/* Each checks a whole value, and returns what was expected of it, or NULL when it is good. */
const char *config_check_subjects(const char *value);
const char *config_check_event_names(const char *value);
const char *config_check_subject(const char *value);
const char *config_check_group(const char *value);
const char *config_check_stream(const char *value);
const char *config_check_nats_url(const char *value);
const char *config_check_nkey(const char *value);
const char *config_check_redis_url(const char *value);
const char *config_check_origins(const char *value);
const char *config_check_address(const char *value);
const char *config_check_admin_address(const char *value);
const char *config_check_http_url(const char *value);
const char *config_check_prefixes(const char *value);

/*
 * Writes the value for people to see: in each URL `***` stands for user and password. Of a value that is no clean list of
 * URLs, only its first scheme and what follows its last `@` are shown.
 */
void config_redact(const char *value, char *ret_text, size_t size);

#endif
