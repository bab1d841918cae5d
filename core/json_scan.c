#include <string.h>
#include <unistr.h>
#include <yajl/yajl_parse.h>

#include "core/json.h"

struct scan {
    const char *name;
    size_t name_size;
    char *value;
    size_t value_size;
    unsigned depth;
    bool is_object;
    bool at_member; /* the next value belongs to the member looked for */
    enum json_scan_result result;
};

/* Called for every value. Depth 0 means the document itself is that value. */
static void saw_value(struct scan *scan)
{
    if (scan->at_member && scan->depth == 1) {
        scan->result = JSON_SCAN_NOT_STRING;
        scan->at_member = false;
    }
}

static int on_null(void *context)
{
    saw_value(context);
    return 1;
}

static int on_boolean(void *context, int value)
{
    (void)value;
    saw_value(context);
    return 1;
}

/* Setting this callback keeps yajl from converting numbers, so that none is too large. */
static int on_number(void *context, const char *text, size_t size)
{
    (void)text;
    (void)size;
    saw_value(context);
    return 1;
}

static int on_string(void *context, const unsigned char *text, size_t size)
{
    struct scan *scan = context;

    if (!scan->at_member || scan->depth != 1)
        return 1;
    if (size >= scan->value_size || memchr(text, '\0', size)) {
        saw_value(scan);
        return 1;
    }
    memcpy(scan->value, text, size);
    scan->value[size] = '\0';
    scan->result = JSON_SCAN_OK;
    scan->at_member = false;
    return 1;
}

static int on_key(void *context, const unsigned char *text, size_t size)
{
    struct scan *scan = context;

    if (scan->depth != 1 || size != scan->name_size || memcmp(text, scan->name, size) != 0)
        return 1;
    if (scan->result != JSON_SCAN_MISSING) {
        scan->result = JSON_SCAN_DUPLICATE;
        return 1;
    }
    scan->at_member = true;
    return 1;
}

static int on_start_map(void *context)
{
    struct scan *scan = context;

    if (scan->depth == 0)
        scan->is_object = true;
    saw_value(scan);
    scan->depth++;
    return 1;
}

static int on_start_array(void *context)
{
    struct scan *scan = context;

    saw_value(scan);
    scan->depth++;
    return 1;
}

static int on_end(void *context)
{
    struct scan *scan = context;

    scan->depth--;
    return 1;
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_start_map,
    .yajl_map_key = on_key,
    .yajl_end_map = on_end,
    .yajl_start_array = on_start_array,
    .yajl_end_array = on_end,
};

enum { VALUE_MAX = 256 };

enum json_scan_result json_scan_member(const char *text, size_t size, const char *name, char *ret_value,
                                       size_t value_size)
{
    char value[VALUE_MAX];
    struct scan scan = {
        .name = name,
        .name_size = strlen(name),
        .value = value,
        .value_size = value_size < sizeof value ? value_size : sizeof value,
        .result = JSON_SCAN_MISSING,
    };
    yajl_handle parser;
    bool valid;

    /* yajl lets overlong forms and surrogates pass, which no browser takes for what they stand for. */
    if (u8_check((const uint8_t *)text, size))
        return JSON_SCAN_NOT_JSON;
    parser = yajl_alloc(&callbacks, NULL, &scan);
    if (!parser)
        return JSON_SCAN_NOT_JSON;
    valid = yajl_parse(parser, (const unsigned char *)text, size) == yajl_status_ok &&
            yajl_complete_parse(parser) == yajl_status_ok;
    yajl_free(parser);
    if (!valid)
        return JSON_SCAN_NOT_JSON;
    if (!scan.is_object)
        return JSON_SCAN_NOT_OBJECT;
    if (scan.result == JSON_SCAN_OK)
        memcpy(ret_value, value, strlen(value) + 1);
    return scan.result;
}
