#include "http/request.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct search {
    const char *name;
    struct request_text found;
};

static enum MHD_Result visit(void *context, enum MHD_ValueKind kind, const char *key, size_t key_size,
                             const char *value, size_t value_size)
{
    struct search *search = context;
    bool is_header = kind == MHD_HEADER_KIND;

    if (key_size != strlen(search->name) ||
        (is_header ? strncasecmp(key, search->name, key_size) : memcmp(key, search->name, key_size)) != 0)
        return MHD_YES;
    if (search->found.count++ == 0) {
        search->found.text = value ? value : "";
        search->found.size = value ? value_size : 0;
    }
    return MHD_YES;
}

static struct request_text find(struct MHD_Connection *connection, enum MHD_ValueKind kind, const char *name)
{
    struct search search = {.name = name};

    MHD_get_connection_values_n(connection, kind, visit, &search);
    return search.found;
}

struct request_text request_parameter(struct MHD_Connection *connection, const char *name)
{
    return find(connection, MHD_GET_ARGUMENT_KIND, name);
}

struct request_text request_header(struct MHD_Connection *connection, const char *name)
{
    return find(connection, MHD_HEADER_KIND, name);
}

size_t request_unescape(char *text)
{
    for (char *nul = strstr(text, "%00"); nul; nul = strstr(nul, "%00"))
        nul[2] = '1';
    return MHD_http_unescape(text);
}

bool request_has_body(struct MHD_Connection *connection)
{
    struct request_text length = request_header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);

    return (length.text && strcmp(length.text, "0") != 0) ||
           request_header(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING).text;
}

/* RFC 9110, 5.6.2. White space in front of the colon comes here as a part of the name from libmicrohttpd 0.9.75. */
static bool is_name(const char *text, size_t size)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < size; i++) {
        char letter = text[i];

        if (!((letter >= 'A' && letter <= 'Z') || (letter >= 'a' && letter <= 'z') ||
              (letter >= '0' && letter <= '9') || (letter && strchr(marks, letter))))
            return false;
    }
    return size > 0;
}

/* A carriage return alone, for one, which others take for the end of a line (RFC 9112, 2.2). */
static bool has_control(const char *text, size_t size)
{
    static const char controls[] =
        "\x01\x02\x03\x04\x05\x06\x07\x08\n\x0b\x0c\r\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19"
        "\x1a\x1b\x1c\x1d\x1e\x1f\x7f";

    /* The end of the text is one, too, where it is not that of the value. */
    return strcspn(text, controls) < size;
}

#if MHD_VERSION < 0x00097701
/*
 * A line that goes on in the next one (RFC 9112, 5.2) is appended to its header's *name* by libmicrohttpd 0.9.75, in other
 * memory, so that `Transfer-Encoding:` with `chunked` below it is no Transfer-Encoding any more. Unlike there, the value of
 * an honest line lies in its line, behind the name and the colon.
 */
static bool is_folded(const char *name, size_t name_size, const char *value)
{
    const char *at = name + name_size + 1;

    if ((uintptr_t)value < (uintptr_t)at)
        return true;
    while (at != value && (*at == ' ' || *at == '\t'))
        at++;
    return at != value;
}
#else
static bool is_folded(const char *name, size_t name_size, const char *value)
{
    (void)name;
    (void)name_size;
    (void)value;
    return false; /* refused by libmicrohttpd */
}
#endif

static enum MHD_Result find_odd_header(void *context, enum MHD_ValueKind kind, const char *key, size_t key_size,
                                       const char *value, size_t value_size)
{
    bool *found = context;

    (void)kind;
    *found |= !is_name(key, key_size) || (value && (has_control(value, value_size) || is_folded(key, key_size, value)));
    return MHD_YES;
}

bool request_has_odd_header(struct MHD_Connection *connection)
{
    bool found = false;

    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, find_odd_header, &found);
    return found;
}

bool request_is_ambiguous(struct MHD_Connection *connection)
{
    unsigned hosts = request_header(connection, MHD_HTTP_HEADER_HOST).count;
    unsigned lengths = request_header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH).count;
    unsigned encodings = request_header(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING).count;

    return hosts > 1 || lengths > 1 || encodings > 1 || (lengths > 0 && encodings > 0);
}

static const char *skip_space(const char *text)
{
    return text + strspn(text, " \t");
}

/* How closely the media range of that size names text/event-stream: 0 not at all, 3 exactly. */
static int closeness(const char *range, size_t size)
{
    static const char *const ranges[] = {"*/*", "text/*", "text/event-stream"};

    for (int i = 0; i < 3; i++)
        if (strlen(ranges[i]) == size && strncasecmp(ranges[i], range, size) == 0)
            return i + 1;
    return 0;
}

/* Whether a `q` of 0 among the parameters of the media range excludes what it names. */
static bool is_excluded(const char *parameters, const char *end)
{
    for (const char *at = parameters; at < end; at++) {
        const char *parameter;

        if (*at != ';')
            continue;
        parameter = skip_space(at + 1);
        if ((*parameter == 'q' || *parameter == 'Q') && parameter[1] == '=')
            return strtod(parameter + 2, NULL) <= 0;
    }
    return false;
}

bool request_accepts_event_stream(const char *accept)
{
    int closest = 0;
    bool accepted = false;

    if (!accept || !*skip_space(accept))
        return true;
    /* The range that names it most closely decides. */
    while (*accept) {
        const char *range = skip_space(accept);
        const char *end = range + strcspn(range, ",");
        size_t size = strcspn(range, ",; \t");

        if (closeness(range, size) > closest) {
            closest = closeness(range, size);
            accepted = !is_excluded(range + size, end);
        }
        accept = *end ? end + 1 : end;
    }
    return accepted;
}

/* A weight of 0 to 1 in thousandths (RFC 9110, 12.4.2): a digit, a point, up to three digits. -1: it is none. */
static int read_weight(const char *text, size_t size)
{
    int weight = 0;
    int unit = 100;

    if (size == 0 || size > strlen("0.000") || (text[0] != '0' && text[0] != '1') || (size > 1 && text[1] != '.'))
        return -1;
    for (size_t i = 2; i < size; i++, unit /= 10) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        weight += (text[i] - '0') * unit;
    }
    if (text[0] == '0')
        return weight;
    return weight == 0 ? 1000 : -1;
}

/* The size of the text without the spaces at its end. */
static size_t trimmed(const char *text, size_t size)
{
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t'))
        size--;
    return size;
}

/* The weight of an element of Accept-Encoding, from its name's end on. What is no weight counts as 0: not wanted. */
static int element_weight(const char *parameters, const char *end)
{
    const char *at = skip_space(parameters);
    int weight = 1000;

    if (at < end) {
        if (*at != ';')
            return 0;
        at = skip_space(at + 1);
        if ((*at != 'q' && *at != 'Q') || at[1] != '=')
            return 0;
        weight = read_weight(at + 2, trimmed(at + 2, (size_t)(end - at - 2)));
    }
    return weight > 0 ? weight : 0;
}

static bool is_named(const char *name, size_t size, const char *coding)
{
    return strlen(coding) == size && strncasecmp(name, coding, size) == 0;
}

/* The least of what was said of a coding; -1: nothing yet. */
static void note_weight(int *least, int weight)
{
    if (*least < 0 || weight < *least)
        *least = weight;
}

bool request_accepts_gzip(const char *accept_encoding)
{
    int gzip = -1;
    int any = -1;
    int identity = -1;

    if (!accept_encoding)
        return false;
    while (*accept_encoding) {
        const char *name = skip_space(accept_encoding);
        const char *end = name + strcspn(name, ",");
        size_t size = strcspn(name, ",; \t");
        int weight = element_weight(name + size, end);

        if (is_named(name, size, "gzip") || is_named(name, size, "x-gzip"))
            note_weight(&gzip, weight);
        else if (is_named(name, size, "*"))
            note_weight(&any, weight);
        else if (is_named(name, size, "identity"))
            note_weight(&identity, weight);
        accept_encoding = *end ? end + 1 : end;
    }
    if (gzip < 0)
        gzip = any;
    return gzip > 0 && gzip >= identity;
}
