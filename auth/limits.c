#include "auth/limits.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/named_rates.h"
#include "core/rate.h"
#include "core/table.h"

#define NS_PER_S INT64_C(1000000000)

enum { COUNTED = LIMIT_ADDRESS + 1 }; /* the limits that count streams stand first */
enum { ASKER_NAME_SIZE = 512 };

struct count {
    int64_t streams;
    char name[];
};

struct limits_place {
    struct count *counts[COUNTED]; /* NULL: not counted there */
};

struct limits {
    int64_t max[COUNTED];
    /* Guards what follows, and all counts. */
    pthread_mutex_t lock;
    struct table *counts[COUNTED]; /* of struct count, by name */
    struct rate_bucket rate;
    struct named_rates *addresses;
    struct named_rates *tickets; /* by who asks for them */
};

struct limits *limits_new(const struct config *config)
{
    struct limits *limits = calloc(1, sizeof *limits);

    if (!limits)
        return NULL;
    pthread_mutex_init(&limits->lock, NULL);
    limits->max[LIMIT_COMPANY] = config->max_connections_per_company;
    limits->max[LIMIT_USER] = config->max_connections_per_user;
    limits->max[LIMIT_KEY] = config->max_connections_per_key;
    limits->max[LIMIT_ADDRESS] = config->max_connections_per_address;
    limits->rate = rate_bucket_make(config->connection_rate);
    limits->addresses = named_rates_new(config->connection_rate_per_address, LIMITS_ADDRESSES);
    limits->tickets = named_rates_new(config->ticket_rate_per_user, LIMITS_ADDRESSES);
    for (int i = 0; i < COUNTED; i++)
        limits->counts[i] = table_new();
    for (int i = 0; i < COUNTED; i++) {
        if (!limits->counts[i] || !limits->addresses || !limits->tickets) {
            limits_free(limits);
            return NULL;
        }
    }
    return limits;
}

void limits_free(struct limits *limits)
{
    if (!limits)
        return;
    for (int i = 0; i < COUNTED; i++)
        table_free(limits->counts[i]);
    named_rates_free(limits->addresses);
    named_rates_free(limits->tickets);
    pthread_mutex_destroy(&limits->lock);
    free(limits);
}

static struct count *count_named(const char *name)
{
    size_t size = strlen(name) + 1;
    struct count *count = calloc(1, sizeof *count + size);

    if (count)
        memcpy(count->name, name, size);
    return count;
}

/* A company has no '/' in its name, so that no two users of different companies have the same. */
static struct count *count_of_user(const struct limits_who *who)
{
    size_t size = strlen(who->company) + strlen(who->user) + 2;
    struct count *count = calloc(1, sizeof *count + size);

    if (count)
        snprintf(count->name, size, "%s/%s", who->company, who->user);
    return count;
}

static struct count *count_of_address(const struct address *address)
{
    struct address limited = address_for_limits(address);
    char name[ADDRESS_TEXT_SIZE];

    address_format(&limited, name);
    return count_named(name);
}

static int64_t max_of(const struct limits *limits, const struct limits_who *who, int limit)
{
    return limit == LIMIT_KEY && who->key && who->key_max > 0 ? who->key_max : limits->max[limit];
}

/* What this one is counted by, not yet in the table. Returns 1, 0 when it is not counted there, or -ENOMEM. */
static int make_count(const struct limits_who *who, int limit, struct count **ret_count)
{
    struct count *count = NULL;

    switch (limit) {
    case LIMIT_COMPANY:
        count = count_named(who->company);
        break;
    case LIMIT_USER:
        if (!who->user)
            return 0;
        count = count_of_user(who);
        break;
    case LIMIT_KEY:
        if (!who->key)
            return 0;
        count = count_named(who->key);
        break;
    default:
        if (!who->address || who->address->family == AF_UNSPEC)
            return 0;
        count = count_of_address(who->address);
        break;
    }
    *ret_count = count;
    return count ? 1 : -ENOMEM;
}

/* The count in the table in place of the one just made, which it takes over. Returns NULL without memory. */
static struct count *share_count(struct table *table, struct count *made)
{
    struct count *there = table_get(table, made->name);

    if (!there && table_add(table, made->name, made) == 0)
        return made;
    free(made);
    return there;
}

static void count_out(struct limits *limits, int limit, struct count *count)
{
    if (--count->streams > 0)
        return;
    table_remove(limits->counts[limit], count->name);
    free(count);
}

/* Counts the stream in at one limit. */
static int count_in(struct limits *limits, const struct limits_who *who, int limit, struct count **ret_count)
{
    int64_t max = max_of(limits, who, limit);
    struct count *count = NULL;
    int status = max > 0 ? make_count(who, limit, &count) : 0;

    if (status <= 0)
        return status;
    count = share_count(limits->counts[limit], count);
    if (!count)
        return -ENOMEM;
    /* One just made has no stream, so that a refused count is never an empty one. */
    if (count->streams >= max)
        return -EBUSY;
    count->streams++;
    *ret_count = count;
    return 0;
}

static void leave(struct limits *limits, struct limits_place *place)
{
    for (int i = 0; i < COUNTED; i++)
        if (place->counts[i])
            count_out(limits, i, place->counts[i]);
}

static int enter(struct limits *limits, const struct limits_who *who, struct limits_place *place, enum limit *ret_limit)
{
    for (int i = 0; i < COUNTED; i++) {
        int status = count_in(limits, who, i, &place->counts[i]);

        if (status < 0) {
            leave(limits, place);
            *ret_limit = (enum limit)i;
            return status;
        }
    }
    return 0;
}

int limits_enter(struct limits *limits, const struct limits_who *who, struct limits_place **ret_place,
                 enum limit *ret_limit)
{
    struct limits_place *place = calloc(1, sizeof *place);
    int status;

    if (!place)
        return -ENOMEM;
    pthread_mutex_lock(&limits->lock);
    status = enter(limits, who, place, ret_limit);
    pthread_mutex_unlock(&limits->lock);
    if (status < 0)
        free(place);
    else
        *ret_place = place;
    return status;
}

void limits_leave(struct limits *limits, struct limits_place *place)
{
    if (!place)
        return;
    pthread_mutex_lock(&limits->lock);
    leave(limits, place);
    pthread_mutex_unlock(&limits->lock);
    free(place);
}

static int find_address_rate(struct limits *limits, const struct address *address, int64_t now_ns,
                             struct rate_bucket **ret_bucket)
{
    struct address limited;
    char name[ADDRESS_TEXT_SIZE];

    *ret_bucket = NULL;
    if (!address || address->family == AF_UNSPEC)
        return 0;
    limited = address_for_limits(address);
    address_format(&limited, name);
    return named_rates_find(limits->addresses, name, now_ns, ret_bucket);
}

/* Both buckets are asked before either is charged, so that who is refused by one takes nothing from the other. */
static int admit(struct limits *limits, const struct address *address, int64_t now_ns, enum limit *ret_limit,
                 int64_t *ret_wait_ns)
{
    struct rate_bucket *bucket = NULL;
    int status = find_address_rate(limits, address, now_ns, &bucket);

    if (status < 0)
        return status;
    *ret_limit = LIMIT_ADDRESS_RATE;
    *ret_wait_ns = bucket ? rate_bucket_wait_ns(bucket, 1, now_ns) : 0;
    if (*ret_wait_ns == 0) {
        *ret_limit = LIMIT_RATE;
        *ret_wait_ns = rate_bucket_wait_ns(&limits->rate, 1, now_ns);
    }
    if (*ret_wait_ns > 0)
        return -EBUSY;
    if (bucket)
        rate_bucket_charge(bucket, 1, now_ns);
    rate_bucket_charge(&limits->rate, 1, now_ns);
    return 0;
}

int limits_admit(struct limits *limits, const struct address *address, int64_t now_ns, enum limit *ret_limit,
                 int64_t *ret_wait_seconds)
{
    enum limit limit = LIMIT_RATE;
    int64_t wait_ns = 0;
    int status;

    pthread_mutex_lock(&limits->lock);
    status = admit(limits, address, now_ns, &limit, &wait_ns);
    pthread_mutex_unlock(&limits->lock);
    if (status == -EBUSY) {
        *ret_limit = limit;
        *ret_wait_seconds = (wait_ns + NS_PER_S - 1) / NS_PER_S;
    }
    return status;
}

/* Whose tickets are counted together: a user's, a key's; else those that come from one address for a company. */
static void name_of_asker(const struct limits_who *who, char ret_name[ASKER_NAME_SIZE])
{
    char address[ADDRESS_TEXT_SIZE] = "";

    if (who->user) {
        snprintf(ret_name, ASKER_NAME_SIZE, "user:%s/%s", who->company, who->user);
        return;
    }
    if (who->key) {
        snprintf(ret_name, ASKER_NAME_SIZE, "key:%s", who->key);
        return;
    }
    if (who->address) {
        struct address limited = address_for_limits(who->address);

        address_format(&limited, address);
    }
    snprintf(ret_name, ASKER_NAME_SIZE, "address:%s/%s", who->company, address);
}

int limits_take_ticket(struct limits *limits, const struct limits_who *who, int64_t now_ns, int64_t *ret_wait_seconds)
{
    struct rate_bucket *bucket;
    char name[ASKER_NAME_SIZE];
    int64_t wait_ns = 0;
    int status;

    name_of_asker(who, name);
    pthread_mutex_lock(&limits->lock);
    status = named_rates_find(limits->tickets, name, now_ns, &bucket);
    if (status == 0 && bucket)
        wait_ns = rate_bucket_take(bucket, 1, now_ns);
    pthread_mutex_unlock(&limits->lock);
    if (wait_ns == 0)
        return status;
    *ret_wait_seconds = (wait_ns + NS_PER_S - 1) / NS_PER_S;
    return -EBUSY;
}

size_t limits_addresses(struct limits *limits)
{
    size_t count;

    pthread_mutex_lock(&limits->lock);
    count = named_rates_count(limits->addresses);
    pthread_mutex_unlock(&limits->lock);
    return count;
}

static const struct {
    enum metric metric;
    const char *message;
} refusals[] = {
    [LIMIT_COMPANY] = {METRIC_ERROR_COMPANY_LIMIT, "This company has too many streams open"},
    [LIMIT_USER] = {METRIC_ERROR_USER_LIMIT, "This user has too many streams open"},
    [LIMIT_KEY] = {METRIC_ERROR_KEY_LIMIT, "This API key has too many streams open"},
    [LIMIT_ADDRESS] = {METRIC_ERROR_ADDRESS_LIMIT, "Too many streams are open from this address"},
    [LIMIT_RATE] = {METRIC_ERROR_RATE, "Too many new streams at a time; try again later"},
    [LIMIT_ADDRESS_RATE] = {METRIC_ERROR_ADDRESS_RATE,
                            "Too many new streams at a time from this address; try again later"},
    [LIMIT_TICKET_RATE] = {METRIC_ERROR_TICKET_RATE, "Too many tickets at a time; try again later"},
};

enum metric limits_metric(enum limit limit)
{
    return refusals[limit].metric;
}

const char *limits_message(enum limit limit)
{
    return refusals[limit].message;
}
