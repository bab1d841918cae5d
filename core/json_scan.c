#include "core/json_scan.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistr.h>
#include <yajl/yajl_parse.h>

#include "core/json_arena.h"

/*
 * What yajl (2.1) needs for a text of n bytes that it is given as a whole. Three things grow, each by a part of the text that
 * is no part of the others:
 * - the text of a string with escapes, decoded, which makes none longer: x bytes of the text;
 * - at the end of a text that breaks off inside a token, that token: y bytes;
 * - a byte for each open bracket, got by 128 at a time: z bytes.
 * So x + y + z <= n. The first two begin with 2048 bytes and double while they are too small, hence end below 2x (2y) or with
 * 2048; being powers of two already, all their rooms are together below 4x + 4096 (4y + 4096). The third takes less than
 * 4 (z + 1 + 128). Four structs of less than 1024 bytes stay as they are. No growth has more than 32 steps.
 */
enum {
    ARENA_PER_BYTE = 4,
    ARENA_BESIDES = 2 * 4096 + 4 * (1 + 128) + 4 * 1024 + (3 * 32 + 4) * JSON_ARENA_HEAD,
};

struct json_scanner {
    size_t max_size;
    size_t arena_size;
    char *arena;
};

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

struct json_scanner *json_scanner_new(size_t max_size)
{
    struct json_scanner *scanner = calloc(1, sizeof *scanner);

    if (!scanner)
        return NULL;
    scanner->max_size = max_size;
    scanner->arena_size = max_size * ARENA_PER_BYTE + ARENA_BESIDES;
    scanner->arena = malloc(scanner->arena_size);
    if (!scanner->arena) {
        json_scanner_free(scanner);
        return NULL;
    }
    return scanner;
}

void json_scanner_free(struct json_scanner *scanner)
{
    if (!scanner)
        return;
    free(scanner->arena);
    free(scanner);
}

/* Whether the text is JSON; meanwhile tells `scan` what is in it. */
static bool parse(struct json_scanner *scanner, const char *text, size_t size, struct scan *scan)
{
    struct json_arena arena;
    yajl_alloc_funcs memory;
    yajl_handle parser;

    json_arena_init(&arena, scanner->arena, scanner->arena_size);
    memory = json_arena_funcs(&arena);
    parser = yajl_alloc(&callbacks, &memory, scan);
    /* Not freed: it is all in the arena. */
    return yajl_parse(parser, (const unsigned char *)text, size) == yajl_status_ok &&
           yajl_complete_parse(parser) == yajl_status_ok;
}

enum { VALUE_MAX = 256 };

enum json_scan_result json_scan_member(struct json_scanner *scanner, const char *text, size_t size, const char *name,
                                       char *ret_value, size_t value_size)
{
    char value[VALUE_MAX];
    struct scan scan = {
        .name = name,
        .name_size = strlen(name),
        .value = value,
        .value_size = value_size < sizeof value ? value_size : sizeof value,
        .result = JSON_SCAN_MISSING,
    };

    if (size > scanner->max_size)
        return JSON_SCAN_TOO_LARGE;
    /* yajl lets overlong forms and surrogates pass, which no browser takes for what they stand for. */
    if (u8_check((const uint8_t *)text, size) || !parse(scanner, text, size, &scan))
        return JSON_SCAN_NOT_JSON;
    if (!scan.is_object)
        return JSON_SCAN_NOT_OBJECT;
    if (scan.result == JSON_SCAN_OK)
        memcpy(ret_value, value, strlen(value) + 1);
    return scan.result;
}
