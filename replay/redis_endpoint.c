#include "replay/redis_endpoint.h"

#include <errno.h>
#include <string.h>

/* From 1 to 65535, in digits, without zeros in front. */
static bool is_port(const char *text, size_t size)
{
    unsigned number = 0;

    if (size == 0 || size > 5 || text[0] == '0')
        return false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        number = number * 10 + (unsigned)(text[i] - '0');
    }
    return number <= 65535;
}

/* What may stand in a name or an address; whether there is such a host shows when it is looked up. */
static bool is_host(const char *text, size_t size)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:%";

    for (size_t i = 0; i < size; i++)
        if (text[i] == '\0' || !strchr(allowed, text[i]))
            return false;
    return size > 0;
}

int redis_endpoint_make(const char *host, size_t host_size, const char *port, size_t port_size,
                        struct redis_endpoint *ret_endpoint)
{
    struct redis_endpoint endpoint = {.path = ""};

    if (host_size >= sizeof endpoint.host || !is_host(host, host_size) || !is_port(port, port_size))
        return -EINVAL;
    memcpy(endpoint.host, host, host_size);
    memcpy(endpoint.port, port, port_size);
    *ret_endpoint = endpoint;
    return 0;
}

bool redis_endpoint_equals(const struct redis_endpoint *a, const struct redis_endpoint *b)
{
    return strcmp(a->path, b->path) == 0 && strcmp(a->host, b->host) == 0 && strcmp(a->port, b->port) == 0;
}
