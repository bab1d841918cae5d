/*
 * natsflood: publishes numbered, time-stamped events to NATS at a steady rate.
 *
 * Company c<i> gets the numbers 0, 1, 2 … in "n"; "t" is CLOCK_MONOTONIC in nanoseconds right before the publish.
 */
#include <nats/nats.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tool.h"

#define EVENT_MIN_BYTES 64
#define FULL_HEAD_MIN_BYTES 128 /* smaller events say only what sseload needs */
#define EVENT_MAX_BYTES 65536
#define TICK_NS NS_PER_MS
#define FLUSH_TIMEOUT_MS 10000

struct flood {
    const char *url, *subject;
    long rate, count, companies, first_company, size_bytes;
    const char *filler; /* of an event's head, behind what sseload needs */
    long varied;        /* fields that differ, as those of real events do */
    uint64_t random;
    natsConnection *connection;
    char event[EVENT_MAX_BYTES];
    int64_t worst_delay_ns; /* how far publishing fell behind its schedule */
};

static natsStatus flood_connect(struct flood *flood)
{
    natsOptions *options = NULL;
    natsStatus status = natsOptions_Create(&options);

    if (status == NATS_OK)
        status = natsOptions_SetURL(options, flood->url);
    if (status == NATS_OK)
        status = natsOptions_SetSendAsap(options, true); /* the default waits a millisecond for company */
    if (status == NATS_OK)
        status = natsConnection_Connect(&flood->connection, options);
    natsOptions_Destroy(options);
    return status;
}

/* Everything but the head of the event stays as it is here: padding up to the wanted size. */
static void fill_padding(struct flood *flood)
{
    flood->filler = flood->size_bytes < FULL_HEAD_MIN_BYTES ? "" : ",\"metricName\":\"load\",\"value\":0.85";
    memset(flood->event, 'x', (size_t)flood->size_bytes);
    memcpy(flood->event + flood->size_bytes - 2, "\"}", 2);
}

static uint32_t next_random(struct flood *flood)
{
    flood->random = flood->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(flood->random >> 32);
}

/* More fields in place of padding, whose values are others in each event, and words up to its end, as those of real events have. */
static void vary_event(struct flood *flood, int head_size)
{
    static const char *const words[] = {"payment", "search", "checkout", "login",  "web",     "mobile",
                                        "retry",   "cart",   "profile",  "upload", "timeout", "queue",
                                        "cold",    "north",  "series",   "upgrade"};
    char fields[192];
    int size = snprintf(fields, sizeof fields,
                        "\",\"participantId\":\"p-%08" PRIx32 "\",\"traceId\":\"%08" PRIx32 "%08" PRIx32
                        "\",\"score\":0.%04" PRIu32 ",\"calculatedAt\":\"2026-01-05T09:%02" PRIu32 ":%02" PRIu32
                        ".%03" PRIu32 "Z\",\"tags\":\"",
                        next_random(flood), next_random(flood), next_random(flood), next_random(flood) % 10000,
                        next_random(flood) % 60, next_random(flood) % 60, next_random(flood) % 1000);
    char *at = flood->event + head_size;
    const char *end = flood->event + flood->size_bytes - 2;

    if (at + size > end)
        return;
    memcpy(at, fields, (size_t)size);
    at += size;
    while (at < end) {
        const char *word = words[next_random(flood) % (sizeof words / sizeof words[0])];

        while (*word && at < end)
            *at++ = *word++;
        if (at < end)
            *at++ = ' ';
    }
}

/* NATS_INVALID_ARG: the numbers have grown too long for events of that size. */
static natsStatus publish_event(struct flood *flood, long index)
{
    long room = flood->size_bytes < FULL_HEAD_MIN_BYTES ? flood->size_bytes : FULL_HEAD_MIN_BYTES;
    char head[FULL_HEAD_MIN_BYTES];
    int size = snprintf(head, sizeof head, "{\"companyId\":\"c%ld\",\"n\":%ld,\"t\":%" PRId64 "%s,\"pad\":\"",
                        flood->first_company + index % flood->companies, index / flood->companies, tool_now_ns(),
                        flood->filler);

    room -= 2; /* the event's end */
    if (size > room)
        return NATS_INVALID_ARG;
    memcpy(flood->event, head, (size_t)size);
    memset(flood->event + size, 'x', (size_t)(room - size));
    if (flood->varied)
        vary_event(flood, size);
    return natsConnection_Publish(flood->connection, flood->subject, flood->event, (int)flood->size_bytes);
}

static void sleep_until(int64_t when_ns)
{
    struct timespec when = {.tv_sec = (time_t)(when_ns / NS_PER_SECOND), .tv_nsec = (long)(when_ns % NS_PER_SECOND)};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR)
        ;
}

/* Publishes on a fixed schedule: what is due within one tick leaves together, and a delay is made good. */
static natsStatus publish_all(struct flood *flood, int64_t started_ns)
{
    natsStatus status = NATS_OK;
    long sent = 0;

    while (status == NATS_OK && sent < flood->count) {
        int64_t due_ns = started_ns + sent * NS_PER_SECOND / flood->rate;
        int64_t now_ns = tool_now_ns();

        if (due_ns > now_ns) {
            sleep_until(due_ns > now_ns + TICK_NS ? due_ns : now_ns + TICK_NS);
            continue;
        }
        if (now_ns - due_ns > flood->worst_delay_ns)
            flood->worst_delay_ns = now_ns - due_ns;
        status = publish_event(flood, sent++);
    }
    if (status == NATS_OK)
        status = natsConnection_FlushTimeout(flood->connection, FLUSH_TIMEOUT_MS);
    return status;
}

static int parse_options(struct flood *flood, int argc, char **argv)
{
    const struct tool_option table[] = {
        {"url", "the NATS server", NULL, 0, 0, &flood->url},
        {"subject", "where to publish", NULL, 0, 0, &flood->subject},
        {"rate", "events a second", &flood->rate, 1, 1000000, NULL},
        {"count", "events in all", &flood->count, 1, 100000000, NULL},
        {"companies", "companies that take turns", &flood->companies, 1, 65536, NULL},
        {"first-company", "number of the first of them", &flood->first_company, 0, 1000000, NULL},
        {"size", "bytes of an event", &flood->size_bytes, EVENT_MIN_BYTES, EVENT_MAX_BYTES, NULL},
        {"varied", "1: with fields that differ, where they fit, in place of padding", &flood->varied, 0, 1, NULL},
    };

    return tool_parse_options("natsflood: publishes numbered events at a steady rate.", table,
                              sizeof table / sizeof table[0], argc, argv);
}

int main(int argc, char **argv)
{
    static struct flood flood = {.url = "nats://127.0.0.1:4222",
                                 .subject = "metrics.calculated",
                                 .rate = 1000,
                                 .count = 10000,
                                 .companies = 1,
                                 .size_bytes = 256};
    int error = parse_options(&flood, argc, argv);
    int64_t started_ns;
    natsStatus status;
    double seconds;

    if (error)
        return error < 0 ? 2 : 0;
    fill_padding(&flood);
    status = flood_connect(&flood);
    started_ns = tool_now_ns();
    if (status == NATS_OK)
        status = publish_all(&flood, started_ns);
    seconds = (double)(tool_now_ns() - started_ns) / (double)NS_PER_SECOND;
    if (status == NATS_OK)
        printf("{\"sent\":%ld,\"seconds\":%.3f,\"rate\":%.1f,\"worst_delay_ms\":%.1f}\n", flood.count, seconds,
               (double)flood.count / seconds, (double)flood.worst_delay_ns / (double)NS_PER_MS);
    else
        fprintf(stderr, "natsflood: %s\n", natsStatus_GetText(status));
    natsConnection_Destroy(flood.connection);
    nats_Close();
    return status == NATS_OK ? 0 : 1;
}
