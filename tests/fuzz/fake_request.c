#include "tests/fuzz/fake_request.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#include "http/request.h"
#include "tests/fuzz/fuzz.h"

enum { PAIRS_MAX = 64 };

struct pair {
    enum MHD_ValueKind kind;
    char *name;
    size_t name_size;
    char *value; /* NULL: a parameter without `=` */
    size_t value_size;
};

struct MHD_Connection {
    char *text;
    struct pair pairs[PAIRS_MAX];
    size_t count;
};

static size_t decode(char *text)
{
    for (char *plus = strchr(text, '+'); plus; plus = strchr(plus, '+'))
        *plus = ' ';
    return request_unescape(text);
}

static void add(struct MHD_Connection *connection, const struct pair *pair)
{
    if (connection->count < PAIRS_MAX)
        connection->pairs[connection->count++] = *pair;
}

/* As libmicrohttpd does: divided first, decoded then. */
static void add_parameters(struct MHD_Connection *connection, char *query)
{
    while (query) {
        char *next = strchr(query, '&');
        struct pair pair = {.kind = MHD_GET_ARGUMENT_KIND, .name = query};

        if (next)
            *next++ = '\0';
        pair.value = strchr(query, '=');
        if (pair.value)
            *pair.value++ = '\0';
        pair.name_size = decode(pair.name);
        if (pair.value)
            pair.value_size = decode(pair.value);
        add(connection, &pair);
        query = next;
    }
}

static void add_header(struct MHD_Connection *connection, char *line)
{
    struct pair pair = {.kind = MHD_HEADER_KIND, .name = line, .value = strchr(line, ':')};

    if (!pair.value)
        return;
    *pair.value++ = '\0';
    pair.value += strspn(pair.value, " \t");
    pair.name_size = strlen(pair.name);
    pair.value_size = strlen(pair.value);
    add(connection, &pair);
}

struct MHD_Connection *fake_request_new(const char *text)
{
    struct MHD_Connection *connection = calloc(1, sizeof *connection);
    char *line;

    MUST(connection != NULL);
    connection->text = strdup(text);
    MUST(connection->text != NULL);
    line = strchr(connection->text, '\n');
    if (line)
        *line++ = '\0';
    add_parameters(connection, connection->text);
    while (line) {
        char *next = strchr(line, '\n');

        if (next)
            *next++ = '\0';
        add_header(connection, line);
        line = next;
    }
    return connection;
}

void fake_request_free(struct MHD_Connection *connection)
{
    free(connection->text);
    free(connection);
}

int MHD_get_connection_values_n(struct MHD_Connection *connection, enum MHD_ValueKind kind,
                                MHD_KeyValueIteratorN iterator, void *context)
{
    int seen = 0;

    for (size_t i = 0; i < connection->count; i++) {
        const struct pair *pair = &connection->pairs[i];

        if (pair->kind != kind)
            continue;
        seen++;
        if (iterator(context, kind, pair->name, pair->name_size, pair->value, pair->value_size) != MHD_YES)
            break;
    }
    return seen;
}
