#include "auth/limits.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/identity.h"
#include "auth/named_rates.h"
#include "core/rate.h"
#include "core/table.h"

#define NS_PER_S INT64_C(1000000000)

#define USER_PREFIX "user:"
#define KEY_PREFIX "key:"

struct limits_count {
    int64_t streams;
    char name[];
};

struct limits {
    int64_t max[LIMITS_COUNTED];
    /* Guards what follows, and all counts. */
    pthread_mutex_t lock;
    struct table *counts[LIMITS_COUNTED]; /* of struct limits_count, by name */
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
    for (int i = 0; i < LIMITS_COUNTED; i++)
        limits->counts[i] = table_new();
    for (int i = 0; i < LIMITS_COUNTED; i++) {
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
    for (int i = 0; i < LIMITS_COUNTED; i++)
        table_free(limits->counts[i]);
    named_rates_free(limits->addresses);
    named_rates_free(limits->tickets);
    pthread_mutex_destroy(&limits->lock);
    free(limits);
}

static int64_t max_of(const struct limits *limits, const struct limits_who *who, int limit)
{
    return limit == LIMIT_KEY && who->key && who->key_max > 0 ? who->key_max : limits->max[limit];
}

static void format_address(const struct address *address, char *ret_text)
{
    struct address limited = address_for_limits(address);

    address_format(&limited, ret_text);
}

/* The name of a user or a key: the same wherever one is counted. Returns false when there is none. */
static bool name_user(const struct limits_who *who, char ret_name[LIMITS_NAME_SIZE])
{
    size_t size = strlen(USER_PREFIX);

    strcpy(ret_name, USER_PREFIX);
    return who->user && identity_user_name(who->company, who->user, ret_name + size, LIMITS_NAME_SIZE - size);
}

static bool name_key(const struct limits_who *who, char ret_name[LIMITS_NAME_SIZE])
{
    return who->key && snprintf(ret_name, LIMITS_NAME_SIZE, KEY_PREFIX "%s", who->key) < LIMITS_NAME_SIZE;
}

/* What this one is counted by. Returns false when it is not counted there. */
static bool name_at(const struct limits_who *who, int limit, char ret_name[LIMITS_NAME_SIZE])
{
    switch (limit) {
    case LIMIT_COMPANY:
        return snprintf(ret_name, LIMITS_NAME_SIZE, "%s", who->company) < LIMITS_NAME_SIZE;
    case LIMIT_USER:
        return name_user(who, ret_name);
    case LIMIT_KEY:
        return name_key(who, ret_name);
    default:
        if (!who->address || who->address->family == AF_UNSPEC)
            return false;
        format_address(who->address, ret_name);
        return true;
    }
}

/* The count of that name, made without a stream where it is not there yet. NULL: no memory. */
static struct limits_count *find_count(struct table *table, const char *name)
{
    struct limits_count *count = table_get(table, name);
    size_t size = strlen(name) + 1;

    if (count)
        return count;
    count = calloc(1, sizeof *count + size);
    if (!count)
        return NULL;
    memcpy(count->name, name, size);
    if (table_add(table, count->name, count) == 0)
        return count;
    free(count);
    return NULL;
}

static void count_out(struct limits *limits, int limit, struct limits_count *count)
{
    if (--count->streams > 0)
        return;
    table_remove(limits->counts[limit], count->name);
    free(count);
}

/* Counts the stream in at one limit. */
static int count_in(struct limits *limits, const struct limits_who *who, int limit, struct limits_place *place)
{
    int64_t max = max_of(limits, who, limit);
    char name[LIMITS_NAME_SIZE];
    struct limits_count *count;

    if (max <= 0 || !name_at(who, limit, name))
        return 0;
    count = find_count(limits->counts[limit], name);
    if (!count)
        return -ENOMEM;
    /* One just made has no stream, so that a refused count is never an empty one. */
    if (count->streams >= max)
        return -EBUSY;
    place->counts[limit] = count;
    place->ranks[limit] = (uint32_t)++count->streams;
    return 0;
}

static void leave(struct limits *limits, struct limits_place *place)
{
    for (int i = 0; i < LIMITS_COUNTED; i++)
        if (place->counts[i])
            count_out(limits, i, place->counts[i]);
    *place = (struct limits_place){0};
}

static int enter(struct limits *limits, const struct limits_who *who, struct limits_place *place, enum limit *ret_limit)
{
    for (int i = 0; i < LIMITS_COUNTED; i++) {
        int status = count_in(limits, who, i, place);

        if (status < 0) {
            leave(limits, place);
            *ret_limit = (enum limit)i;
            return status;
        }
    }
    return 0;
}

int limits_enter(struct limits *limits, const struct limits_who *who, struct limits_place *ret_place,
                 enum limit *ret_limit)
{
    int status;

    *ret_place = (struct limits_place){0};
    pthread_mutex_lock(&limits->lock);
    status = enter(limits, who, ret_place, ret_limit);
    pthread_mutex_unlock(&limits->lock);
    return status;
}

void limits_leave(struct limits *limits, struct limits_place *place)
{
    pthread_mutex_lock(&limits->lock);
    leave(limits, place);
    pthread_mutex_unlock(&limits->lock);
}

/* Those that are counted over all replicas. */
static const enum limit shared_limits[] = {LIMIT_USER, LIMIT_KEY};

bool limits_slot(const struct limits *limits, const struct limits_who *who, enum limit limit,
                 struct limits_slot *ret_slot)
{
    ret_slot->max = max_of(limits, who, limit);
    return ret_slot->max > 0 && name_at(who, limit, ret_slot->name);
}

int64_t limits_rank(const struct limits_place *place, enum limit limit)
{
    return place->ranks[limit];
}

int64_t limits_count(struct limits *limits, const char *name)
{
    int64_t streams = 0;

    pthread_mutex_lock(&limits->lock);
    for (size_t i = 0; i < sizeof shared_limits / sizeof shared_limits[0]; i++) {
        const struct limits_count *count = table_get(limits->counts[shared_limits[i]], name);

        streams += count ? count->streams : 0;
    }
    pthread_mutex_unlock(&limits->lock);
    return streams;
}

/* Who goes through the names. */
struct visit {
    void (*visit)(void *context, const char *name);
    void *context;
};

static void visit_name(const char *name, void *object, void *context)
{
    const struct visit *visit = context;

    (void)object;
    visit->visit(visit->context, name);
}

void limits_each_name(struct limits *limits, void (*visit)(void *context, const char *name), void *context)
{
    pthread_mutex_lock(&limits->lock);
    for (size_t i = 0; i < sizeof shared_limits / sizeof shared_limits[0]; i++)
        table_each(limits->counts[shared_limits[i]], visit_name, &(struct visit){visit, context});
    pthread_mutex_unlock(&limits->lock);
}

static int find_address_rate(struct limits *limits, const struct address *address, int64_t now_ns,
                             struct rate_bucket **ret_bucket)
{
    char name[ADDRESS_TEXT_SIZE];

    *ret_bucket = NULL;
    if (!address || address->family == AF_UNSPEC)
        return 0;
    format_address(address, name);
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
static void name_of_asker(const struct limits_who *who, char ret_name[LIMITS_NAME_SIZE])
{
    char address[ADDRESS_TEXT_SIZE] = "";

    if (name_user(who, ret_name) || name_key(who, ret_name))
        return;
    if (who->address)
        format_address(who->address, address);
    snprintf(ret_name, LIMITS_NAME_SIZE, "address:%s/%s", who->company, address);
}

int limits_take_ticket(struct limits *limits, const struct limits_who *who, int64_t now_ns, int64_t *ret_wait_seconds)
{
    struct rate_bucket *bucket;
    char name[LIMITS_NAME_SIZE];
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
