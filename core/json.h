#ifndef SLUICE_CORE_JSON_H
#define SLUICE_CORE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Writes JSON (RFC 8259), and looks into the JSON of an event without building a tree. Strings that come from outside may
 * hold anything: bytes that are not UTF-8 are written as '?', so that the output is always valid. One owner.
 */
struct json;

/* An empty document. NULL: no memory. */
struct json *json_new(void);
void json_free(struct json *json);

/* Inside an object, each value follows its key. */
void json_begin_object(struct json *json);
void json_end_object(struct json *json);
void json_begin_array(struct json *json);
void json_end_array(struct json *json);
void json_key(struct json *json, const char *key);
void json_write_string(struct json *json, const char *text, size_t size);
void json_write_number(struct json *json, int64_t number);
void json_write_bool(struct json *json, bool value);
void json_write_null(struct json *json);

/* Key and value in one call. A NULL text is written as null. */
void json_put_string(struct json *json, const char *key, const char *text);
void json_put_number(struct json *json, const char *key, int64_t number);
void json_put_bool(struct json *json, const char *key, bool value);

/* The text so far, owned by the document. NULL: the memory ran out on the way. */
const char *json_text(const struct json *json, size_t *ret_size);

enum json_scan_result {
    JSON_SCAN_OK,
    JSON_SCAN_NOT_JSON,   /* not JSON, or not UTF-8 */
    JSON_SCAN_NOT_OBJECT, /* JSON, but no object */
    JSON_SCAN_MISSING,    /* no such member */
    JSON_SCAN_NOT_STRING, /* the member is no string, or one longer than the room for it */
    JSON_SCAN_DUPLICATE,  /* more than one member of that name */
};

/*
 * Validates the whole text and copies the string member `name` of the top-level object to ret_value (NUL-terminated;
 * a string with a NUL inside counts as not fitting). Numbers of any size pass: they are not converted. ret_value is
 * written only with JSON_SCAN_OK.
 */
enum json_scan_result json_scan_member(const char *text, size_t size, const char *name, char *ret_value,
                                       size_t value_size);

#endif
