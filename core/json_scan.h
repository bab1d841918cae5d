#ifndef SLUICE_CORE_JSON_SCAN_H
#define SLUICE_CORE_JSON_SCAN_H

#include <stddef.h>

/*
 * Looks into JSON texts without building a tree. All memory that this takes is reserved when the scanner is made, so that
 * no text can find none left. One owner.
 */
struct json_scanner;

/* For texts of up to max_size bytes: reserves about four times as much, which is touched only by texts that need it. NULL: no memory. */
struct json_scanner *json_scanner_new(size_t max_size);
void json_scanner_free(struct json_scanner *scanner);

enum json_scan_result {
    JSON_SCAN_OK,
    JSON_SCAN_TOO_LARGE,  /* above max_size: not looked at */
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
enum json_scan_result json_scan_member(struct json_scanner *scanner, const char *text, size_t size, const char *name,
                                       char *ret_value, size_t value_size);

#endif
