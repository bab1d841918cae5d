#include "core/json.h"

#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistr.h>
#include <yajl/yajl_gen.h>

#include "core/buffer.h"
#include "core/json_arena.h"

enum {
    DOCUMENT_MAX_BYTES = 64 * 1024 * 1024,
    /* yajl (2.1) makes a generator of 128 depths and about ten pointers, and a buffer of three, which is not used here. */
    GENERATOR_BYTES = 2048,
};

struct json {
    yajl_gen generator; /* in the memory below */
    struct json_arena arena;
    alignas(max_align_t) char memory[GENERATOR_BYTES];
    struct buffer text;
};

static void print(void *context, const char *text, size_t size)
{
    struct json *json = context;

    buffer_append(&json->text, text, size);
}

struct json *json_new(void)
{
    struct json *json = calloc(1, sizeof *json);
    yajl_alloc_funcs memory;

    if (!json)
        return NULL;
    json->text = buffer_make(DOCUMENT_MAX_BYTES);
    json_arena_init(&json->arena, json->memory, sizeof json->memory);
    memory = json_arena_funcs(&json->arena);
    json->generator = yajl_gen_alloc(&memory);
    yajl_gen_config(json->generator, yajl_gen_print_callback, print, json);
    return json;
}

void json_free(struct json *json)
{
    if (!json)
        return;
    buffer_release(&json->text);
    free(json);
}

void json_begin_object(struct json *json)
{
    yajl_gen_map_open(json->generator);
}

void json_end_object(struct json *json)
{
    yajl_gen_map_close(json->generator);
}

void json_begin_array(struct json *json)
{
    yajl_gen_array_open(json->generator);
}

void json_end_array(struct json *json)
{
    yajl_gen_array_close(json->generator);
}

void json_key(struct json *json, const char *key)
{
    json_write_string(json, key, strlen(key));
}

static void replace_non_ascii(char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)text[i] >= 0x80)
            text[i] = '?';
}

void json_write_string(struct json *json, const char *text, size_t size)
{
    char *copy;

    if (!u8_check((const uint8_t *)text, size)) {
        yajl_gen_string(json->generator, (const unsigned char *)text, size);
        return;
    }
    copy = malloc(size);
    if (!copy) {
        json->text.failed = true;
        return;
    }
    memcpy(copy, text, size);
    replace_non_ascii(copy, size);
    yajl_gen_string(json->generator, (const unsigned char *)copy, size);
    free(copy);
}

void json_write_number(struct json *json, int64_t number)
{
    yajl_gen_integer(json->generator, number);
}

void json_write_bool(struct json *json, bool value)
{
    yajl_gen_bool(json->generator, value);
}

void json_write_null(struct json *json)
{
    yajl_gen_null(json->generator);
}

void json_put_string(struct json *json, const char *key, const char *text)
{
    json_key(json, key);
    if (text)
        json_write_string(json, text, strlen(text));
    else
        json_write_null(json);
}

void json_put_number(struct json *json, const char *key, int64_t number)
{
    json_key(json, key);
    json_write_number(json, number);
}

void json_put_bool(struct json *json, const char *key, bool value)
{
    json_key(json, key);
    json_write_bool(json, value);
}

const char *json_text(const struct json *json, size_t *ret_size)
{
    if (json->text.failed)
        return NULL;
    *ret_size = json->text.size;
    return json->text.data;
}
