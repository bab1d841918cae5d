#include "auth/ticket.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <openssl/evp.h>

#include "auth/random_text.h"
#include "core/config_value.h"

enum { HASH_BYTES = 32, FINGERPRINT_MAX_BYTES = 1024 * 1024 };

int ticket_generate(char ret_ticket[TICKET_TEXT_SIZE])
{
    return random_text("slt_", ret_ticket);
}

static int hash(const char *text, size_t size, char ret_hash[TICKET_HASH_SIZE])
{
    unsigned char bytes[HASH_BYTES];

    if (EVP_Digest(text, size, bytes, NULL, EVP_sha256(), NULL) != 1)
        return -ENOMEM;
    hex_format(bytes, sizeof bytes, ret_hash);
    return 0;
}

int ticket_hash(const char *ticket, size_t size, char ret_hash[TICKET_HASH_SIZE])
{
    if (size != TICKET_TEXT_SIZE - 1 || memcmp(ticket, "slt_", 4) != 0)
        return -EINVAL;
    return hash(ticket, size, ret_hash);
}

int ticket_fingerprint(const struct address *address, const char *user_agent, char ret_hash[TICKET_HASH_SIZE])
{
    struct buffer text = buffer_make(FINGERPRINT_MAX_BYTES);
    char shown[ADDRESS_TEXT_SIZE];
    int status = -ENOMEM;

    address_format(address, shown);
    buffer_printf(&text, "%s\n%s", shown, user_agent ? user_agent : "");
    if (!text.failed)
        status = hash(text.data, text.size, ret_hash);
    buffer_release(&text);
    return status;
}

/* The patterns of the filter; JSON null: all events. NULL: no memory. */
static json_t *write_events(const struct event_filter *filter)
{
    json_t *events = filter ? json_array() : json_null();

    for (size_t i = 0; i < event_filter_count(filter); i++) {
        if (json_array_append_new(events, json_string(event_filter_pattern(filter, i))) < 0) {
            json_decref(events);
            return NULL;
        }
    }
    return events;
}

void ticket_write(const struct identity *identity, struct buffer *value)
{
    char key_hash[2 * API_KEY_HASH_BYTES + 1] = "";
    json_t *object;
    char *text;

    if (identity->key_hash)
        hex_format(identity->key_hash, API_KEY_HASH_BYTES, key_hash);
    object =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:o}", "companyId", identity->company, "userId", identity->user,
                  "sessionId", identity->session, "tokenId", identity->token_id, "keyId", identity->key_id, "keyHash",
                  key_hash, "expiresAt", (json_int_t)identity->expires_ms, "events", write_events(identity->filter));
    text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    if (text)
        buffer_append_text(value, text);
    else
        value->failed = true;
    free(text);
}

/* Finds a member of at most IDENTITY_TEXT_SIZE - 1 bytes, which lives as long as the object. */
static bool read_text(const json_t *object, const char *name, const char **ret_text)
{
    const json_t *member = json_object_get(object, name);

    *ret_text = json_string_value(member);
    return *ret_text && json_string_length(member) < IDENTITY_TEXT_SIZE;
}

/* Reads the hash of the API key, which is there if its id is. */
static bool read_key_hash(const json_t *object, struct identity *identity, unsigned char bytes[API_KEY_HASH_BYTES])
{
    const json_t *member = json_object_get(object, "keyHash");

    if (!json_is_string(member))
        return false;
    if (!*identity->key_id)
        return json_string_length(member) == 0;
    identity->key_hash = bytes;
    return hex_parse(json_string_value(member), json_string_length(member), bytes, API_KEY_HASH_BYTES) == 0;
}

static bool read_events(const json_t *events, struct event_filter **ret_filter)
{
    const char *patterns[API_KEY_MAX_EVENTS];
    size_t count = json_array_size(events);

    if (json_is_null(events))
        return true;
    if (count < 1 || count > API_KEY_MAX_EVENTS)
        return false;
    for (size_t i = 0; i < count; i++) {
        patterns[i] = json_string_value(json_array_get(events, i));
        if (!patterns[i])
            return false;
    }
    *ret_filter = event_filter_new(patterns, count);
    return *ret_filter != NULL;
}

/* Its texts are the object's, its hash is in bytes. The filter is a reference of the caller's if it is set. */
static bool read_identity(const json_t *object, struct identity *identity, unsigned char bytes[API_KEY_HASH_BYTES])
{
    identity->expires_ms = json_integer_value(json_object_get(object, "expiresAt"));
    return read_text(object, "companyId", &identity->company) && read_text(object, "userId", &identity->user) &&
           read_text(object, "sessionId", &identity->session) && read_text(object, "tokenId", &identity->token_id) &&
           read_text(object, "keyId", &identity->key_id) && read_key_hash(object, identity, bytes) &&
           json_is_integer(json_object_get(object, "expiresAt")) && identity->expires_ms >= 0 &&
           config_is_company_id(identity->company, strlen(identity->company)) &&
           read_events(json_object_get(object, "events"), &identity->filter);
}

int ticket_read(const char *value, size_t size, struct identity **ret_identity)
{
    struct identity identity = {.expires_ms = 0};
    unsigned char key_hash[API_KEY_HASH_BYTES];
    json_t *object = json_loadb(value, size, JSON_REJECT_DUPLICATES, NULL);
    int status = -EINVAL;

    if (json_is_object(object) && read_identity(object, &identity, key_hash)) {
        *ret_identity = identity_new(&identity);
        status = *ret_identity ? 0 : -ENOMEM;
    }
    event_filter_unref(identity.filter);
    json_decref(object);
    return status;
}
