#include "auth/jwt_text.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "auth/base64url.h"

struct segments {
    const char *start[3];
    size_t size[3];
};

/* At the first two dots: a third one lies in the last segment, whose decoding refuses it. */
static bool split(const char *token, size_t size, struct segments *ret_segments)
{
    const char *end = token + size;
    const char *first = memchr(token, '.', size);
    const char *second = first ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;

    if (!second)
        return false;
    *ret_segments = (struct segments){
        .start = {token, first + 1, second + 1},
        .size = {(size_t)(first - token), (size_t)(second - first - 1), (size_t)(end - second - 1)},
    };
    return true;
}

static bool is_clean(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

static int read_kid(const json_t *kid, struct jwt_text *text)
{
    if (!kid)
        return 0;
    if (!json_is_string(kid) || json_string_length(kid) >= sizeof text->kid || !is_clean(json_string_value(kid)))
        return -EINVAL;
    memcpy(text->kid, json_string_value(kid), json_string_length(kid) + 1);
    text->has_kid = true;
    return 0;
}

static int read_members(const json_t *header, struct jwt_text *text)
{
    const json_t *algorithm = json_object_get(header, "alg");
    const json_t *type = json_object_get(header, "typ");

    /* crit names extensions that must be understood (RFC 7515 §4.1.11), and none is. */
    if (!json_is_string(algorithm) || json_object_get(header, "crit") || (type && !json_is_string(type)))
        return -EINVAL;
    if (read_kid(json_object_get(header, "kid"), text) < 0)
        return -EINVAL;
    text->algorithm = algorithm_find(json_string_value(algorithm), json_string_length(algorithm));
    return text->algorithm == ALGORITHM_COUNT ? -ENOTSUP : 0;
}

static int read_header(const unsigned char *bytes, size_t size, struct jwt_text *text)
{
    json_t *header = json_loadb((const char *)bytes, size, JSON_REJECT_DUPLICATES, NULL);
    int status = json_is_object(header) ? read_members(header, text) : -EINVAL;

    json_decref(header);
    return status;
}

int jwt_text_parse(const char *token, size_t size, struct jwt_text *ret_text)
{
    struct jwt_text text = {.signing_input = token};
    struct segments segments;
    unsigned char *room;
    ssize_t decoded[3];
    int status;

    if (size > JWT_TEXT_MAX_BYTES || !split(token, size, &segments))
        return -EINVAL;
    text.memory = malloc(BASE64URL_DECODED_SIZE(size) + 6);
    if (!text.memory)
        return -ENOMEM;
    room = text.memory;
    for (int i = 0; i < 3; i++) {
        decoded[i] = base64url_decode(segments.start[i], segments.size[i], room);
        if (decoded[i] <= 0) {
            status = -EINVAL;
            goto fail;
        }
        room += decoded[i];
    }
    status = read_header(text.memory, (size_t)decoded[0], &text);
    if (status < 0)
        goto fail;
    text.signing_input_size = segments.size[0] + 1 + segments.size[1];
    text.payload = (const char *)text.memory + decoded[0];
    text.payload_size = (size_t)decoded[1];
    text.signature = text.memory + decoded[0] + decoded[1];
    text.signature_size = (size_t)decoded[2];
    *ret_text = text;
    return 0;

fail:
    free(text.memory);
    return status;
}

void jwt_text_release(struct jwt_text *text)
{
    free(text->memory);
    *text = (struct jwt_text){0};
}
