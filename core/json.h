#ifndef SLUICE_CORE_JSON_H
#define SLUICE_CORE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Writes JSON (RFC 8259). Strings that come from outside may hold anything: bytes that are not UTF-8 are written as '?', so
 * that the output is always valid. One owner.
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

#endif
