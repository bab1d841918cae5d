#ifndef SLUICE_HTTP_CORS_H
#define SLUICE_HTTP_CORS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Cross-origin resource sharing (WHATWG Fetch, "HTTP extensions"): which pages may read the answers. Read-only once made:
 * any thread.
 */
struct cors;

/*
 * origins: the list of CORS_ORIGINS, checked before. credentials: whether their pages may send a cookie along; never those
 * of `*`. NULL: no memory.
 */
struct cors *cors_new(const char *origins, bool credentials);
void cors_free(struct cors *cors);

/*
 * The value of Access-Control-Allow-Origin for a request with that Origin (NULL: none), or NULL: no such header. It is
 * `*`, or the origin itself.
 */
const char *cors_allowed_origin(const struct cors *cors, const char *origin);

/* Whether answers differ by origin, so that caches must be told (Vary). */
bool cors_varies(const struct cors *cors);

/* Whether pages of an allowed origin may send their credentials (Access-Control-Allow-Credentials). */
bool cors_allows_credentials(const struct cors *cors);

/* What preflights are answered. */
#define CORS_ALLOWED_METHODS "GET, HEAD, POST, OPTIONS"
#define CORS_ALLOWED_HEADERS "Last-Event-ID, Authorization, x-api-key, Cache-Control"
#define CORS_EXPOSED_HEADERS "Retry-After, WWW-Authenticate"
#define CORS_MAX_AGE_SECONDS "86400"

#endif
