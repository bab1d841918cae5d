#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_value.h"
#include "core/event_id.h"
#include "http/request.h"
#include "tests/fuzz/fake_request.h"
#include "tests/fuzz/fuzz.h"

static regex_t company_pattern;
static regex_t id_pattern;

/* What docs/protocol.md says, in another language than our C. */
static void compile_patterns(void)
{
    static bool done;

    if (done)
        return;
    MUST(regcomp(&company_pattern, "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$", REG_EXTENDED | REG_NOSUB) == 0);
    MUST(regcomp(&id_pattern, "^[A-Za-z0-9._-]+-(0|[1-9][0-9]{0,15})-(0|[1-9][0-9]{0,15})$", REG_EXTENDED) == 0);
    done = true;
}

static bool is_id(const char *text, struct event_position *ret_position)
{
    regmatch_t groups[3];

    if (strlen(text) > 128 || regexec(&id_pattern, text, 3, groups, 0) != 0)
        return false;
    ret_position->seq = strtoull(text + groups[1].rm_so, NULL, 10);
    ret_position->ms = strtoull(text + groups[2].rm_so, NULL, 10);
    return ret_position->seq <= EVENT_NUMBER_MAX && ret_position->ms <= EVENT_NUMBER_MAX;
}

static void check_id(const struct request_text *id)
{
    struct event_position position;
    struct event_position expected;

    MUST(event_id_parse(id->text, id->size, &position) == is_id(id->text, &expected));
    if (is_id(id->text, &expected))
        MUST(event_position_compare(position, expected) == 0);
}

/* However a value is spelled in a URL, it is the same value. */
static void check_encoded(const char *name, const struct request_text *value)
{
    size_t size = strlen(name) + 3 * value->size + 2;
    char *query = malloc(size);
    struct MHD_Connection *connection;
    struct request_text again;
    size_t used;

    MUST(query != NULL);
    used = (size_t)snprintf(query, size, "%s=", name);
    for (size_t i = 0; i < value->size; i++)
        used += (size_t)snprintf(query + used, size - used, "%%%02x", (unsigned char)value->text[i]);
    connection = fake_request_new(query);
    again = request_parameter(connection, name);
    MUST(again.count == 1 && again.size == value->size && memcmp(again.text, value->text, again.size) == 0);
    fake_request_free(connection);
    free(query);
}

/* The input is a query as it stands in a URL. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct MHD_Connection *connection = fake_request_new(text);
    struct request_text company = request_parameter(connection, "companyId");
    struct request_text id = request_parameter(connection, "lastEventId");

    compile_patterns();
    /* No NUL hides what stands behind it: acme%00evil is no spelling of acme. */
    MUST(!company.text || strlen(company.text) == company.size);
    MUST(!id.text || strlen(id.text) == id.size);
    if (company.text) {
        MUST(config_is_company_id(company.text, company.size) ==
             (regexec(&company_pattern, company.text, 0, NULL, 0) == 0));
        check_encoded("companyId", &company);
    }
    if (id.text) {
        check_id(&id);
        check_encoded("lastEventId", &id);
    }
    fake_request_free(connection);
    free(text);
    return 0;
}
