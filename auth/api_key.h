#ifndef SLUICE_AUTH_API_KEY_H
#define SLUICE_AUTH_API_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/random_text.h"

/*
 * One API key, as it is stored: never the key itself, only its SHA-256. A key is 32 random bytes, so that one fast hash is
 * enough; nobody can guess what it is the hash of. Any thread.
 *
 * The stored form is one line of JSON:
 *   {"id":"k_1","sha256":"<64 hex digits>","companyId":"acme","expires":"2027-01-01T00:00:00Z","maxConnections":10,
 *    "events":["metric_updated","vis_*"]}
 * of which id and sha256 must be there. Unknown members are refused: a mistyped `expires` must not make a key live for ever.
 */
enum {
    API_KEY_HASH_BYTES = 32,
    API_KEY_TEXT_SIZE = 4 + 43 + 1,       /* slk_, 32 bytes in base64url, NUL */
    API_KEY_ID_SIZE = 2 + RANDOM_ID_SIZE, /* of one made here: k_ and a random id */
    API_KEY_MIN_BYTES = 20,               /* of a presented key */
    API_KEY_MAX_BYTES = 256,
    API_KEY_MAX_LINE_BYTES = 16384,
    API_KEY_MAX_EVENTS = 32,
    API_KEY_MAX_CONNECTIONS = 1000000,
};

struct api_key {
    char *id;
    unsigned char hash[API_KEY_HASH_BYTES];
    char *company;           /* NULL: of no company; its use is refused (403) */
    int64_t expires_ms;      /* Unix time; 0: never */
    int64_t max_connections; /* 0: the key has no limit of its own */
    size_t event_count;      /* 0: all events */
    char **events;           /* patterns of event names */
};

/* Makes a new key from the kernel's random numbers. Returns 0 or -errno. The text is a secret. */
int api_key_generate(char ret_key[API_KEY_TEXT_SIZE]);

/* Makes an id for a key; not secret. Returns 0 or -errno. */
int api_key_generate_id(char ret_id[API_KEY_ID_SIZE]);

/*
 * The hash of a key as somebody presents it. Returns 0; -EINVAL when it cannot be one (20 to 256 characters of visible ASCII);
 * or -ENOMEM.
 */
int api_key_hash(const char *key, size_t size, unsigned char ret_hash[API_KEY_HASH_BYTES]);

/*
 * Reads one line. Returns 0 and the key, to be released; -EINVAL and what is wrong (constant text, which repeats nothing of the
 * line); or -ENOMEM.
 */
int api_key_parse(const char *line, size_t size, struct api_key *ret_key, const char **ret_problem);
void api_key_release(struct api_key *key);

/* Reads `expires` as text: RFC 3339 in UTC, such as 2027-01-01T00:00:00Z. Returns 0 or -EINVAL. */
int api_key_parse_expiry(const char *text, int64_t *ret_unix_ms);

bool api_key_is_expired(const struct api_key *key, int64_t now_unix_ms);

/* Whether the key may have events of that name. */
bool api_key_has_event(const struct api_key *key, const char *event);

#endif
