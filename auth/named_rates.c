#include "auth/named_rates.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/table.h"

/* More than one for each that comes, so that a crowd that has left leaves here too; few, so that no call takes long. */
enum { LEAVING_AT_ONCE = 4 };

struct rate {
    struct rate *older; /* asked for before */
    struct rate *newer;
    struct rate_bucket bucket;
    char name[];
};

struct named_rates {
    int64_t per_second;
    size_t max;
    struct table *by_name;
    struct rate *oldest;
    struct rate *newest;
};

struct named_rates *named_rates_new(int64_t per_second, size_t max)
{
    struct named_rates *rates = calloc(1, sizeof *rates);

    if (!rates)
        return NULL;
    rates->per_second = per_second;
    rates->max = max;
    rates->by_name = table_new();
    if (!rates->by_name) {
        free(rates);
        return NULL;
    }
    return rates;
}

static void unlink_rate(struct named_rates *rates, struct rate *rate)
{
    if (rate == rates->oldest)
        rates->oldest = rate->newer;
    else
        rate->older->newer = rate->newer;
    if (rate == rates->newest)
        rates->newest = rate->older;
    else
        rate->newer->older = rate->older;
}

static void link_newest(struct named_rates *rates, struct rate *rate)
{
    rate->newer = NULL;
    rate->older = rates->newest;
    if (rate->older)
        rate->older->newer = rate;
    else
        rates->oldest = rate;
    rates->newest = rate;
}

static void drop_oldest(struct named_rates *rates)
{
    struct rate *rate = rates->oldest;

    if (!rate)
        return;
    unlink_rate(rates, rate);
    table_remove(rates->by_name, rate->name);
    free(rate);
}

void named_rates_free(struct named_rates *rates)
{
    if (!rates)
        return;
    while (rates->oldest)
        drop_oldest(rates);
    table_free(rates->by_name);
    free(rates);
}

static int add(struct named_rates *rates, const char *name, struct rate **ret_rate)
{
    size_t size = strlen(name) + 1;
    struct rate *rate = calloc(1, sizeof *rate + size);

    if (!rate)
        return -ENOMEM;
    memcpy(rate->name, name, size);
    rate->bucket = rate_bucket_make(rates->per_second);
    if (table_add(rates->by_name, name, rate) < 0) {
        free(rate);
        return -ENOMEM;
    }
    if (table_count(rates->by_name) > rates->max)
        drop_oldest(rates);
    link_newest(rates, rate);
    *ret_rate = rate;
    return 0;
}

int named_rates_find(struct named_rates *rates, const char *name, int64_t now_ns, struct rate_bucket **ret_bucket)
{
    struct rate *rate;

    *ret_bucket = NULL;
    if (rates->per_second == 0)
        return 0;
    for (int i = 0; i < LEAVING_AT_ONCE && rates->oldest && rate_bucket_is_full(&rates->oldest->bucket, now_ns); i++)
        drop_oldest(rates);
    rate = table_get(rates->by_name, name);
    if (rate) {
        unlink_rate(rates, rate);
        link_newest(rates, rate);
    } else if (add(rates, name, &rate) < 0) {
        return -ENOMEM;
    }
    *ret_bucket = &rate->bucket;
    return 0;
}

size_t named_rates_count(const struct named_rates *rates)
{
    return table_count(rates->by_name);
}
