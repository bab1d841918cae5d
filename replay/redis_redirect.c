#include "replay/redis_redirect.h"

#include <stdlib.h>
#include <string.h>

#include "replay/redis_slot.h"

/* `<slot> <host>:<port>`; the host may be empty, and an IPv6 address has colons of its own. */
static bool read_place(const char *text, const struct redis_endpoint *asked, struct redis_redirect *redirect)
{
    size_t digits = strspn(text, "0123456789");
    const char *host = text + digits + 1;
    const char *colon;
    unsigned long slot;

    if (digits == 0 || digits > 5 || text[digits] != ' ')
        return false;
    slot = strtoul(text, NULL, 10);
    colon = strrchr(host, ':');
    if (slot >= REDIS_SLOTS || !colon)
        return false;
    redirect->slot = (unsigned)slot;
    if (colon == host)
        return redis_endpoint_make(asked->host, strlen(asked->host), colon + 1, strlen(colon + 1), &redirect->node) ==
               0;
    return redis_endpoint_make(host, (size_t)(colon - host), colon + 1, strlen(colon + 1), &redirect->node) == 0;
}

struct redis_redirect redis_redirect_read(const char *text, const struct redis_endpoint *asked)
{
    struct redis_redirect redirect = {.kind = REDIS_NO_REDIRECT};

    if (strncmp(text, "MOVED ", 6) == 0 && read_place(text + 6, asked, &redirect))
        redirect.kind = REDIS_MOVED;
    else if (strncmp(text, "ASK ", 4) == 0 && read_place(text + 4, asked, &redirect))
        redirect.kind = REDIS_ASK;
    else if (strncmp(text, "TRYAGAIN", 8) == 0)
        redirect.kind = REDIS_TRY_AGAIN;
    return redirect;
}
