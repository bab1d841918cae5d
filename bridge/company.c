#include "bridge/company.h"

#include <stdlib.h>
#include <string.h>

/*
 * By how much events that were not heard here yet may be older than a stream, where the head cannot be read: another numbered them,
 * by its own clock.
 */
enum { BLANK_MARGIN_MS = 10000 };

struct companies {
    struct table *table;
};

struct visit {
    void (*visit)(struct company *company, void *context);
    void *context;
};

struct companies *companies_new(void)
{
    struct companies *companies = calloc(1, sizeof *companies);

    if (!companies)
        return NULL;
    companies->table = table_new();
    if (!companies->table) {
        free(companies);
        return NULL;
    }
    return companies;
}

static void remove_one(struct company *company, void *context)
{
    companies_remove(context, company);
}

void companies_free(struct companies *companies)
{
    if (!companies)
        return;
    companies_each(companies, remove_one, companies);
    table_free(companies->table);
    free(companies);
}

struct company *companies_get(const struct companies *companies, const char *name)
{
    return table_get(companies->table, name);
}

struct company *companies_add(struct companies *companies, const char *name)
{
    struct company *company = calloc(1, sizeof *company);

    if (!company)
        return NULL;
    strcpy(company->name, name);
    company->parked_last = &company->parked;
    company->recent = ring_new((struct event_position){0, 0});
    if (!company->recent || table_add(companies->table, name, company) < 0) {
        ring_free(company->recent);
        free(company);
        return NULL;
    }
    return company;
}

void companies_remove(struct companies *companies, struct company *company)
{
    while (company->subscriptions) {
        struct subscription *next = company->subscriptions->next;

        free(company->subscriptions);
        company->subscriptions = next;
    }
    table_remove(companies->table, company->name);
    ring_free(company->recent);
    free(company);
}

size_t companies_count(const struct companies *companies)
{
    return table_count(companies->table);
}

static void visit_one(const char *name, void *object, void *context)
{
    const struct visit *visit = context;

    (void)name;
    visit->visit(object, visit->context);
}

void companies_each(struct companies *companies, void (*visit)(struct company *company, void *context), void *context)
{
    struct visit all = {.visit = visit, .context = context};

    table_each(companies->table, visit_one, &all);
}

uint64_t company_source_of(const struct frame *frame)
{
    uint64_t mark = frame_mark(frame);

    /* Marks of messages from core NATS are greater than any place. */
    return mark <= COMPANY_SOURCE_MAX ? mark : 0;
}

size_t company_backlog_bytes(const struct company *company)
{
    return ring_bytes(company->recent, company->stored, ring_end(company->recent));
}

static uint64_t start_ms(const struct company *company)
{
    return company->blank && company->head.ms > BLANK_MARGIN_MS ? company->head.ms - BLANK_MARGIN_MS : company->head.ms;
}

void company_head_id(const struct company *company, uint64_t hole_ms, char ret_id[EVENT_ID_SIZE])
{
    struct event_position start = {.ms = start_ms(company), .seq = 0};

    if (hole_ms > 0 && start.ms <= hole_ms)
        start.ms = hole_ms + 1;
    if (company->subject[0])
        event_id_format(company->subject, company->head, ret_id);
    else
        event_id_format("start", start, ret_id);
}

bool company_reaches_back_to(const struct company *company, struct event_position place)
{
    if (place.seq == 0 && company->blank)
        return place.ms >= start_ms(company);
    return event_position_compare(place, ring_before(company->recent, ring_begin(company->recent))) >= 0;
}
